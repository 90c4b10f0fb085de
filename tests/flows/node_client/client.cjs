// One conversation of OpenAI's unmodified client with a running gateway: node client.cjs BASE_URL KEY MODEL WHAT
// Prints one JSON object with what the client saw.

const OpenAI = require("openai");

const [baseURL, apiKey, model, what] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30000 });
const messages = [
  { role: "system", content: "Be kind." },
  { role: "user", content: "Greet me." },
];
const weather = {
  name: "weather",
  description: "Of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const tools = [{ type: "function", function: weather }];

const conversations = {
  async plain() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    return {
      text: data.choices[0].message.content,
      usage: data.usage,
      traceId: response.headers.get("x-zirkel-trace-id"),
      cost: response.headers.get("x-zirkel-cost-usd"),
    };
  },

  async stream() {
    const pieces = [];
    let usage = null;
    const options = { include_usage: true };
    for await (const chunk of await client.chat.completions.create({
      model, messages, stream: true, stream_options: options,
    })) {
      if (chunk.choices[0]?.delta?.content) pieces.push(chunk.choices[0].delta.content);
      usage = chunk.usage ?? usage;
    }
    return { pieces, usage };
  },

  async tools() {
    const first = await client.chat.completions.create({ model, messages, tools });
    return answerCalls(first.choices[0]);
  },

  async streamedTools() {
    const runner = client.chat.completions.stream({ model, messages, tools });
    return answerCalls((await runner.finalChatCompletion()).choices[0]);
  },

  async embeddings() {
    const found = await client.embeddings.create({ model, input: ["one", "two"] });
    return { vectors: found.data.map((entry) => entry.embedding), usage: found.usage };
  },

  async responses() {
    const plain = await client.responses.create({ model, input: "Greet me." });
    const kinds = [];
    let text = "";
    for await (const event of await client.responses.create({ model, input: "Greet me.", stream: true })) {
      kinds.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    return { text: plain.output_text, usage: plain.usage, streamed: text, kinds };
  },

  async models() {
    const names = [];
    for await (const found of client.models.list()) names.push(found.id);
    return { names };
  },

  async failure() {
    await client.chat.completions.create({ model, messages });
    return {};
  },

  async streamFailure() {
    const pieces = [];
    try {
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
        pieces.push(chunk.choices[0].delta.content ?? "");
      }
    } catch (error) {
      return { pieces, ...told(error) };
    }
    return { pieces };
  },

  async responsesFailure() {
    const kinds = [];
    try {
      for await (const event of await client.responses.create({ model, input: "Greet me.", stream: true })) {
        kinds.push(event.type);
      }
    } catch (error) {
      return { kinds, ...told(error) };
    }
    return { kinds };
  },

  async abort() {
    const { data: stream, response } = await client.chat.completions
      .create({ model, messages, stream: true })
      .withResponse();
    let chunks = 0;
    for await (const _ of stream) {
      chunks += 1;
      if (chunks === 3) break; // Leaving the loop aborts the request.
    }
    return { chunks, traceId: response.headers.get("x-zirkel-trace-id") };
  },
};

async function answerCalls(choice) {
  const calls = choice.message.tool_calls;
  const said = {
    role: "assistant",
    content: choice.message.content,
    tool_calls: calls.map(({ id, type, function: { name, arguments: text } }) => ({
      id, type, function: { name, arguments: text },
    })),
  };
  const results = calls.map((call, index) => ({
    role: "tool", tool_call_id: call.id, content: ["rain", "sun"][index],
  }));
  const second = await client.chat.completions.create({ model, messages: [...messages, said, ...results], tools });
  return {
    reason: choice.finish_reason,
    cities: calls.map((call) => JSON.parse(call.function.arguments).city),
    text: second.choices[0].message.content,
  };
}

function told(error) {
  return {
    kind: error.constructor.name,
    isApiError: error instanceof OpenAI.APIError,
    status: error.status ?? null,
    code: error.code ?? null,
    retryAfter: error.headers?.get?.("retry-after") ?? null,
  };
}

conversations[what]().then(
  (seen) => console.log(JSON.stringify(seen)),
  (error) => console.log(JSON.stringify(told(error))),
);
