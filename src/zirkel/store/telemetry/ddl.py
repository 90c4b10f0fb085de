"""The telemetry schema as an append-only list of steps: a step that was released is never edited, only followed."""

SCHEMA_VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS schema_version
(
    version UInt32,
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# The columns carry the names and the shapes of the fields of core ``Span``, so that a row in ClickHouse's JSONEachRow
# form *is* a span in msgspec's JSON form. A field the encoder leaves out, because it holds its default, takes the
# column's default. The order key finds spans by project and day; traces and experiments by bloom filter.
_SPANS = """
CREATE TABLE IF NOT EXISTS spans
(
    project_id LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    kind LowCardinality(String) DEFAULT 'span',
    source LowCardinality(String),
    dialect LowCardinality(String),
    start_ns Int64 CODEC(Delta, ZSTD(1)),
    end_ns Int64 CODEC(Delta, ZSTD(1)),
    status LowCardinality(String) DEFAULT 'unset',
    error_type LowCardinality(String),
    status_message String CODEC(ZSTD(1)),
    service LowCardinality(String),
    environment LowCardinality(String),
    release LowCardinality(String),
    arm LowCardinality(String),
    arm_probability Nullable(Float64) CODEC(ZSTD(1)),
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    unit String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    key_id LowCardinality(String),
    tags Array(String) CODEC(ZSTD(1)),
    operation LowCardinality(String),
    provider LowCardinality(String),
    request_model LowCardinality(String),
    response_model LowCardinality(String),
    parameters Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    finish_reason LowCardinality(String),
    is_stream Bool,
    attempt UInt32 CODEC(ZSTD(1)),
    time_to_first_token_ns Nullable(Int64) CODEC(ZSTD(1)),
    usage Tuple(
        input_tokens Nullable(Int64),
        cache_read_tokens Nullable(Int64),
        cache_write_tokens Nullable(Int64),
        output_tokens Nullable(Int64),
        reasoning_tokens Nullable(Int64),
        is_estimated Bool
    ) CODEC(ZSTD(1)),
    cost_usd Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    price_digest LowCardinality(String),
    input String CODEC(ZSTD(1)),
    output String CODEC(ZSTD(1)),
    tools String CODEC(ZSTD(1)),
    experiment_id String CODEC(ZSTD(1)),
    item_id String CODEC(ZSTD(1)),
    trial Nullable(Int64) CODEC(ZSTD(1)),
    scope_name LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    events Array(Tuple(name String, time_ns Int64, attributes Map(String, String))) CODEC(ZSTD(1)),
    received_ns Int64 CODEC(Delta, ZSTD(1)),
    day Date MATERIALIZED toDate(fromUnixTimestamp64Nano(start_ns, 'UTC')),
    input_length UInt64 MATERIALIZED lengthUTF8(input) CODEC(ZSTD(1)),
    output_length UInt64 MATERIALIZED lengthUTF8(output) CODEC(ZSTD(1)),
    is_call Bool ALIAS kind = 'call',
    is_model Bool ALIAS kind IN ('chat', 'completion', 'embedding'),
    INDEX by_trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_experiment experiment_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(received_ns)
PARTITION BY toYYYYMM(day)
ORDER BY (project_id, day, trace_id, span_id)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    non_replicated_deduplication_window = 1000
"""

# What the gateway notes of an attempt, and the finer usage buckets. A tuple is widened by name: old rows keep their
# values, the new parts are null. Parts that were not rewritten yet are read through the same conversion, so a crash
# amid it costs nothing, and the statement does nothing when it is run again.
_ATTEMPTS_AND_BUCKETS = """
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS attempt_reason LowCardinality(String),
    ADD COLUMN IF NOT EXISTS cache LowCardinality(String),
    ADD COLUMN IF NOT EXISTS settlement LowCardinality(String),
    ADD COLUMN IF NOT EXISTS reserved_usd Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS is_provisional Bool,
    MODIFY COLUMN usage Tuple(
        input_tokens Nullable(Int64),
        cache_read_tokens Nullable(Int64),
        cache_write_tokens Nullable(Int64),
        cache_write_1h_tokens Nullable(Int64),
        input_audio_tokens Nullable(Int64),
        input_image_tokens Nullable(Int64),
        output_tokens Nullable(Int64),
        reasoning_tokens Nullable(Int64),
        output_audio_tokens Nullable(Int64),
        output_image_tokens Nullable(Int64),
        is_estimated Bool
    ) CODEC(ZSTD(1))
"""

MIGRATIONS: tuple[str, ...] = (_SPANS, _ATTEMPTS_AND_BUCKETS)
"""Step *n* (from 1) brings version *n - 1* to version *n*; each can be run again after a crash."""
