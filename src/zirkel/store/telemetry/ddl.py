"""The telemetry schema as an append-only list of steps: a step that was released is never edited, only followed.

The columns of a table carry the names and the shapes of the fields of its core struct, so that a row in ClickHouse's
JSONEachRow form *is* a struct in msgspec's JSON form. A field the encoder leaves out, because it holds its default,
takes the column's default.

What the engine is told, and why:

- A partition is a day: retention drops whole ones, and a day that is over is sealed, merged into one part in which each
  row is there once, so that ``FINAL`` costs nothing there.
- An inserted and a merged part are on disk before the parts they replace go, and those go within seconds, because what
  was erased must be gone.
- Granules and compressed blocks are small, and a day is in order of traces: one is found by the primary key, without
  the thousands of rows beside it. A page of fifty traces reads fifty granules of forty columns, each of them a block:
  blocks of 64 KiB, as is usual, double its time, and save 2 % of the disk.
"""

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

_DURABLE = """
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    max_cleanup_delay_period = 2,
    cleanup_delay_period_random_add = 0,
    min_compress_block_size = 4096,
    auto_statistics_types = ''"""

_SPANS = f"""
CREATE TABLE IF NOT EXISTS spans
(
    project_id LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    name LowCardinality(String),
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
    attempt_reason LowCardinality(String),
    cache LowCardinality(String),
    settlement LowCardinality(String),
    reserved_usd Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    is_provisional Bool,
    time_to_first_token_ns Nullable(Int64) CODEC(ZSTD(1)),
    usage Tuple(
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
    unmapped Array(LowCardinality(String)) CODEC(ZSTD(1)),
    events Array(Tuple(name String, time_ns Int64, attributes Map(String, String))) CODEC(ZSTD(1)),
    received_ns Int64 CODEC(Delta, ZSTD(1)),
    is_content_dropped Bool,
    day Date MATERIALIZED toDate(fromUnixTimestamp64Nano(start_ns, 'UTC')),
    input_length UInt64 DEFAULT lengthUTF8(input) CODEC(ZSTD(1)),
    output_length UInt64 DEFAULT lengthUTF8(output) CODEC(ZSTD(1)),
    is_call Bool ALIAS kind = 'call',
    is_model Bool ALIAS kind IN ('chat', 'completion', 'embedding'),
    version Int64 MATERIALIZED received_ns + if(source = 'gateway' AND NOT is_provisional, 4611686018427387904, 0)
        CODEC(Delta, ZSTD(1)),
    INDEX by_experiment experiment_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY day
ORDER BY (project_id, day, trace_id, span_id)
SETTINGS{_DURABLE},
    index_granularity_bytes = 1048576
"""
"""What the gateway recorded stays, whatever a sender of OTLP says under the same ids: its version is above all others.

The lengths are defaults, not computed again when the content goes: they are measures, which stay."""

_LOGS = f"""
CREATE TABLE IF NOT EXISTS logs
(
    project_id LowCardinality(String),
    log_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    time_ns Int64 CODEC(Delta, ZSTD(1)),
    severity UInt8 CODEC(ZSTD(1)),
    severity_text LowCardinality(String),
    event_name LowCardinality(String),
    body String CODEC(ZSTD(1)),
    scope_name LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    received_ns Int64 CODEC(Delta, ZSTD(1)),
    is_content_dropped Bool,
    day Date MATERIALIZED toDate(fromUnixTimestamp64Nano(time_ns, 'UTC')),
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(received_ns)
PARTITION BY day
ORDER BY (project_id, day, trace_id, log_id)
SETTINGS{_DURABLE},
    index_granularity_bytes = 1048576
"""

_POINTS = f"""
CREATE TABLE IF NOT EXISTS points
(
    project_id LowCardinality(String),
    point_id String CODEC(ZSTD(1)),
    name LowCardinality(String),
    kind LowCardinality(String),
    unit LowCardinality(String),
    temporality LowCardinality(String),
    is_monotonic Bool,
    start_ns Int64 CODEC(Delta, ZSTD(1)),
    time_ns Int64 CODEC(Delta, ZSTD(1)),
    value Nullable(Float64) CODEC(ZSTD(1)),
    count Nullable(Int64) CODEC(ZSTD(1)),
    sum Nullable(Float64) CODEC(ZSTD(1)),
    minimum Nullable(Float64) CODEC(ZSTD(1)),
    maximum Nullable(Float64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    buckets Array(Float64) CODEC(ZSTD(1)),
    scope_name LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    received_ns Int64 CODEC(Delta, ZSTD(1)),
    day Date MATERIALIZED toDate(fromUnixTimestamp64Nano(time_ns, 'UTC'))
)
ENGINE = ReplacingMergeTree(received_ns)
PARTITION BY day
ORDER BY (project_id, name, day, point_id)
SETTINGS{_DURABLE}
"""

_SCORES = f"""
CREATE TABLE IF NOT EXISTS scores
(
    project_id LowCardinality(String),
    score_id String CODEC(ZSTD(1)),
    name LowCardinality(String),
    kind LowCardinality(String),
    value Nullable(Float64) CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    experiment_id String CODEC(ZSTD(1)),
    item_id String CODEC(ZSTD(1)),
    origin LowCardinality(String),
    author String CODEC(ZSTD(1)),
    evaluator LowCardinality(String),
    comment String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    time_ns Int64 CODEC(Delta, ZSTD(1)),
    is_withdrawn Bool,
    metadata Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    received_ns Int64 CODEC(Delta, ZSTD(1)),
    is_content_dropped Bool,
    day Date MATERIALIZED toDate(fromUnixTimestamp64Nano(time_ns, 'UTC')),
    INDEX by_trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_experiment experiment_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (project_id, score_id, received_ns)
SETTINGS{_DURABLE},
    index_granularity = 1024
"""
"""Every version of a score is a row. Versions may be given on several days, and few are ever dropped: no partitions."""

_SELECTED = """
CREATE TABLE IF NOT EXISTS selected
(
    kind LowCardinality(String),
    value String
)
ENGINE = Memory
"""
"""Whose rows are being erased. In memory, because a statement that names them would be kept on disk by the engine."""

FIRST_VERSION = 3
"""Versions before it were never released."""

MIGRATIONS: tuple[str, ...] = (_SPANS, _LOGS, _POINTS, _SCORES, _SELECTED)
"""The steps from ``FIRST_VERSION`` on; each can be run again after a crash."""
