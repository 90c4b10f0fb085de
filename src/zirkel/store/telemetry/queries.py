"""Every question asked of the telemetry store, as ClickHouse SQL with bind parameters.

Spans may be there twice: one that was sent again replaces the first only when ClickHouse merges. ``FINAL`` counts each
once, whatever has been merged; it is left out only where twice is the same as once. ``day`` is in each window because
the order key has it.
"""

TABLE_EXISTS = "SELECT count() AS value FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"

RECORD_SCHEMA_VERSION = "INSERT INTO schema_version (version) VALUES ({version})"

SCHEMA_VERSION = "SELECT toUInt32(max(version)) AS value FROM schema_version"

TRACE = """
SELECT {columns}
FROM spans
WHERE project_id = {{project_id:String}}
    AND trace_id = {{trace_id:String}}
    AND day IN (SELECT day FROM spans WHERE project_id = {{project_id:String}} AND trace_id = {{trace_id:String}})
ORDER BY version DESC
LIMIT 1 BY span_id
"""
"""The newest version of each span of a trace; ``columns`` are the fields of ``Span``.

Looking for its days first is cheap: it opens two columns of the other days instead of all.
"""

LOGS_OF_TRACE = """
SELECT {columns}
FROM logs
WHERE project_id = {{project_id:String}} AND trace_id = {{trace_id:String}}
ORDER BY received_ns DESC
LIMIT 1 BY log_id
"""
"""The newest version of each log record of a trace; ``columns`` are the fields of ``LogRecord``."""

SCORES_OF = """
SELECT {columns}
FROM scores
WHERE project_id = {{project_id:String}} AND score_id IN
(
    SELECT score_id FROM scores
    WHERE project_id = {{project_id:String}} AND trace_id IN {{trace_ids:Array(String)}}
    UNION DISTINCT
    SELECT score_id FROM scores
    WHERE project_id = {{project_id:String}} AND session_id IN {{session_ids:Array(String)}}
    UNION DISTINCT
    SELECT score_id FROM scores
    WHERE project_id = {{project_id:String}} AND experiment_id IN {{experiment_ids:Array(String)}}
)
ORDER BY received_ns DESC
LIMIT 1 BY score_id
"""
"""The newest version of each score that was ever about one of these; ``columns`` are the fields of ``ScoreRecord``."""

SCORE_HISTORY = """
SELECT {columns}
FROM scores
WHERE project_id = {{project_id:String}} AND score_id = {{score_id:String}}
ORDER BY received_ns
"""

SERVICE_USAGE = """
SELECT
    call_release AS release,
    call_arm AS arm,
    count() AS requests,
    countIf(is_error) AS errors,
    countIf(NOT is_error AND last_attempt > 0) AS fallback_answers,
    toString(sum(call_cost_usd)) AS cost_usd,
    sum(call_unknown_costs) AS unknown_costs,
    sum(call_input_tokens) AS input_tokens,
    sum(call_output_tokens) AS output_tokens,
    quantileExactInclusive(0.5)(latency_ns) / 1e6 AS latency_p50_ms,
    quantileExactInclusive(0.95)(latency_ns) / 1e6 AS latency_p95_ms,
    quantileExactInclusive(0.5)(ttft_ns) / 1e6 AS ttft_p50_ms,
    min(call_start_ns) AS first_ns,
    max(call_start_ns) AS last_ns
FROM
(
    SELECT
        anyIf(release, is_call) AS call_release,
        anyIf(arm, is_call) AS call_arm,
        countIf(is_call AND status = 'error') > 0 AS is_error,
        max(attempt) AS last_attempt,
        sumIf(assumeNotNull(cost_usd), is_model AND cost_usd IS NOT NULL) AS call_cost_usd,
        countIf(is_model AND cost_usd IS NULL) AS call_unknown_costs,
        sumIf(
            ifNull(usage.input_tokens, 0) + ifNull(usage.cache_read_tokens, 0) + ifNull(usage.cache_write_tokens, 0)
                + ifNull(usage.cache_write_1h_tokens, 0) + ifNull(usage.input_audio_tokens, 0)
                + ifNull(usage.input_image_tokens, 0),
            is_model
        ) AS call_input_tokens,
        sumIf(
            ifNull(usage.output_tokens, 0) + ifNull(usage.reasoning_tokens, 0) + ifNull(usage.output_audio_tokens, 0)
                + ifNull(usage.output_image_tokens, 0),
            is_model
        ) AS call_output_tokens,
        anyIf(end_ns - start_ns, is_call) AS latency_ns,
        coalesce(anyIf(time_to_first_token_ns, is_call), min(time_to_first_token_ns)) AS ttft_ns,
        minIf(start_ns, is_call) AS call_start_ns
    FROM spans FINAL
    WHERE project_id = {project_id:String}
        AND service = {service:String}
        AND day >= toDate(fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC'))
        AND day <= toDate(fromUnixTimestamp64Nano({scan_until_ns:Int64}, 'UTC'))
        AND start_ns >= {since_ns:Int64}
        AND start_ns < {scan_until_ns:Int64}
        AND ((is_call AND environment = {environment:String} AND experiment_id = '') OR is_model)
    GROUP BY trace_id, if(is_call, span_id, parent_span_id)
    HAVING countIf(is_call AND start_ns < {until_ns:Int64}) > 0
)
GROUP BY release, arm
ORDER BY first_ns, release, arm
"""
"""Per call with its attempts first, then per release and arm. Attempts may start after the window that has the call."""

EXPERIMENT_ANSWERS = """
SELECT
    call_item_id AS item_id,
    ifNull(call_trial, 0) AS trial,
    call_release AS release,
    call_output AS output,
    call_status AS status,
    call_error_type AS error_type,
    if(unknown_costs > 0, NULL, cost) AS cost_usd,
    call_usage AS usage,
    last_attempt AS attempt,
    trace_id,
    duration_ns
FROM
(
    SELECT
        trace_id,
        anyIf(item_id, is_call) AS call_item_id,
        anyIf(trial, is_call) AS call_trial,
        anyIf(release, is_call) AS call_release,
        anyIf(output, is_call) AS call_output,
        anyIf(status, is_call) AS call_status,
        anyIf(error_type, is_call) AS call_error_type,
        anyIf(start_ns, is_call) AS call_start_ns,
        anyIf(end_ns - start_ns, is_call) AS duration_ns,
        if(countIf(is_model) = 0, anyIf(cost_usd, is_call), sumIf(cost_usd, is_model)) AS cost,
        countIf(is_model AND cost_usd IS NULL) AS unknown_costs,
        maxIf(attempt, is_model) AS last_attempt,
        if(
            countIf(is_model) = 0,
            anyIf(usage, is_call),
            CAST(
                (
                    sumIf(usage.input_tokens, is_model),
                    sumIf(usage.cache_read_tokens, is_model),
                    sumIf(usage.cache_write_tokens, is_model),
                    sumIf(usage.cache_write_1h_tokens, is_model),
                    sumIf(usage.input_audio_tokens, is_model),
                    sumIf(usage.input_image_tokens, is_model),
                    sumIf(usage.output_tokens, is_model),
                    sumIf(usage.reasoning_tokens, is_model),
                    sumIf(usage.output_audio_tokens, is_model),
                    sumIf(usage.output_image_tokens, is_model),
                    maxIf(usage.is_estimated, is_model)
                ),
                'Tuple(input_tokens Nullable(Int64), cache_read_tokens Nullable(Int64),
                    cache_write_tokens Nullable(Int64), cache_write_1h_tokens Nullable(Int64),
                    input_audio_tokens Nullable(Int64), input_image_tokens Nullable(Int64),
                    output_tokens Nullable(Int64), reasoning_tokens Nullable(Int64),
                    output_audio_tokens Nullable(Int64), output_image_tokens Nullable(Int64), is_estimated Bool)'
            )
        ) AS call_usage
    FROM spans FINAL
    WHERE project_id = {project_id:String} AND experiment_id = {experiment_id:String} AND (is_model OR is_call)
    GROUP BY trace_id, if(is_call, span_id, parent_span_id)
    HAVING countIf(is_call) > 0
)
ORDER BY item_id, trial, status = 'error', call_start_ns DESC, trace_id
LIMIT 1 BY item_id, trial
"""
"""One answer per trial of an item: of several, the newest that is not an error."""

MEASURE_VALUES = """
SELECT
    toFloat64(input_length) AS input_length,
    if(status = 'error', NULL, toFloat64(output_length)) AS output_length,
    (end_ns - start_ns) / 1e6 AS latency_ms
FROM spans FINAL
WHERE project_id = {project_id:String}
    AND service = {service:String}
    AND day >= toDate(fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC'))
    AND day <= toDate(fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC'))
    AND start_ns >= {since_ns:Int64}
    AND start_ns < {until_ns:Int64}
    AND is_call
    AND experiment_id = ''
    AND ({environment:String} = '' OR environment = {environment:String})
ORDER BY start_ns DESC, trace_id, span_id
LIMIT {limit:UInt32}
"""
"""A call in error has no output, which is not the same as one of length 0."""

SPENT_SINCE = """
SELECT key_id, kept_user AS user_id, service, toString(sum(usd)) AS spent_usd
FROM
(
    SELECT
        key_id,
        service,
        if({all_users:UInt8} = 1 OR has({users:Array(String)}, user_id), user_id, '') AS kept_user,
        ifNull(cost_usd, ifNull(reserved_usd, toDecimal64(0, 12))) AS usd
    FROM spans FINAL
    WHERE project_id = {project_id:String}
        AND day >= toDate(fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC'))
        AND start_ns >= {since_ns:Int64}
        AND source = 'gateway'
        AND is_model
)
GROUP BY key_id, kept_user, service
ORDER BY key_id, user_id, service
"""
"""What budgets were charged with: the cost, or where it is unknown what was reserved."""

COUNT_SPANS = "SELECT count() AS value FROM spans FINAL WHERE project_id = {project_id:String}"

COUNT_TRACES = """
SELECT uniqExact(trace_id) AS value
FROM spans
WHERE project_id = {project_id:String}
    AND day >= toDate(fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC'))
    AND start_ns >= {since_ns:Int64}
"""

NEWEST_RECEIVED = """
SELECT max(received_ns) AS value
FROM
(
    SELECT received_ns FROM spans
    UNION ALL SELECT received_ns FROM logs
    UNION ALL SELECT received_ns FROM points
    UNION ALL SELECT received_ns FROM scores
)
"""

UNSEALED_DAYS = """
SELECT table, partition AS day
FROM system.parts
WHERE database = currentDatabase()
    AND table IN ('spans', 'logs', 'points')
    AND active
    AND partition != toString(toDate(now('UTC')))
GROUP BY table, partition
HAVING count() > 1 AND max(modification_time) <= now() - {quiet_s:UInt32}
ORDER BY table = 'spans' DESC, partition DESC
"""
"""The days but today that have several parts, and got no new one for a while."""

SEAL = "OPTIMIZE TABLE {table} PARTITION '{day}' FINAL"
