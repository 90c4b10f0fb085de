"""The metadata tables, on SQLite and PostgreSQL alike.

Times are UTC nanoseconds, structured values canonical JSON text, money decimal text. Migrations make these tables; a
test holds the two equal.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData()

projects = Table(
    "projects",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("label", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Column("policy", Text, nullable=False, server_default="{}"),
    Column("previous_hash", String(64)),
    Column("previous_expires_ns", BigInteger),
    Index("api_keys_by_project", "project_id", "key_id"),
    Index("api_keys_by_previous_hash", "previous_hash", unique=True),
)

people = Table(
    "people",
    metadata,
    Column("person_id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("email", String(320), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

upstreams = Table(
    "upstreams",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("base_url", Text, nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("model_override", Text, nullable=False),
    Column("sealed_credential", Text, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
)

artefacts = Table(
    "artefacts",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("name", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("project_id", "kind", "name", "version", name="artefact_version"),
)

releases = Table(
    "releases",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("service", String(256), nullable=False),
    Column("number", Integer, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("project_id", "service", "number", name="release_number"),
)

services = Table(
    "services",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("description", Text, nullable=False),
    Column("candidate_release", String(64), nullable=False),
    Column("baseline_release", String(64)),
    Column("updated_ns", BigInteger, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("service", String(256), primary_key=True),
    Column("environment", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("stable_release", String(64), nullable=False),
    Column("stable_since_ns", BigInteger, nullable=False),
    Column("stable_by", Text, nullable=False),
    Column("previous_release", String(64)),
    Column("candidate_release", String(64)),
    Column("candidate_since_ns", BigInteger),
    Column("candidate_by", Text),
    Column("candidate_weight", Float, nullable=False),
    Column("salt", String(64), nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("experiment_id", String(64), primary_key=True),
    Column("service", String(256), nullable=False),
    Column("release", String(64), nullable=False),
    Column("dataset_digest", String(64), nullable=False),
    Column("evaluators_digest", String(64), nullable=False),
    Column("trials", Integer, nullable=False),
    Column("items", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("finished_ns", BigInteger),
    Column("origin", String(16), nullable=False, server_default="gateway"),
    Column("other_experiment_id", String(64), nullable=False, server_default=""),
    Column("options", Text, nullable=False, server_default="{}"),
    Column("stopped_items", Integer),
    Index("experiments_by_service", "project_id", "service", "created_ns"),
)

trials = Table(
    "trials",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("experiment_id", String(64), primary_key=True),
    Column("item_id", String(256), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("claimed_ns", BigInteger, nullable=False),
    Column("output", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("scores", Text, nullable=False),
    Column("cost_usd", String(40)),
    Column("trace_id", String(32), nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("is_recovered", Boolean, nullable=False),
    Column("is_cached", Boolean, nullable=False, server_default=false()),
    Column("answer_key", String(64), nullable=False, server_default=""),
    Column("tool_calls", Text, nullable=False, server_default="[]"),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("judges_usd", String(40)),
    Column("errored_scores", Integer, nullable=False, server_default="0"),
    Index("trials_by_answer_key", "project_id", "answer_key"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("verdict_id", String(36), primary_key=True),
    Column("service", String(256), nullable=False),
    Column("release", String(64), nullable=False),
    Column("baseline", String(64)),
    Column("environment", String(64), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("report", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Index("verdicts_by_release", "project_id", "release", "created_ns"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("signature", String(128), nullable=False),
    Column("public_key", String(64), nullable=False),
)


def _documents(name: str) -> Table:
    """Return a table of versioned documents."""
    return Table(
        name,
        metadata,
        Column("project_id", String(64), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("digest", String(64), nullable=False),
        Column("text", Text, nullable=False),
        Column("config", Text, nullable=False),
        Column("applied_ns", BigInteger, nullable=False),
        Column("applied_by", Text, nullable=False),
    )


gateway_configs = _documents("gateway_configs")

price_tables = Table(
    "price_tables",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(128), nullable=False),
    Column("effective", String(10), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("models", Integer, nullable=False),
    Column("loaded_ns", BigInteger, nullable=False),
    Column("loaded_by", Text, nullable=False),
)

price_table_contents = Table(
    "price_table_contents",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("content", Text, nullable=False),
)

privacy_configs = _documents("privacy_configs")

erasures = Table(
    "erasures",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("erasure_id", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject_hash", String(64), nullable=False),
    Column("report", Text, nullable=False),
    Column("erased_ns", BigInteger, nullable=False),
    Column("erased_by", Text, nullable=False),
)

replaced_files = Table(
    "replaced_files",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("replacement", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("replaced_ns", BigInteger, nullable=False),
)

label_samples = Table(
    "label_samples",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("experiment_id", String(64), primary_key=True),
    Column("evaluator", String(256), primary_key=True),
    Column("service", String(256), nullable=False),
    Column("question", Text, nullable=False),
    Column("question_digest", String(64), nullable=False),
    Column("probabilities", Text, nullable=False),
    Column("rule", String(64), nullable=False),
    Column("drawn", Integer, nullable=False),
    Column("drawn_ns", BigInteger, nullable=False),
    Column("drawn_by", Text, nullable=False),
    Index("label_samples_by_service", "project_id", "service"),
)

label_tasks = Table(
    "label_tasks",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("task_id", String(32), primary_key=True),
    Column("experiment_id", String(64), nullable=False),
    Column("evaluator", String(256), nullable=False),
    Column("item_id", String(256), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("answer_digest", String(64), nullable=False),
    Column("question_digest", String(64), nullable=False),
    Column("probability", Float),
    Column("place", Float, nullable=False),
    Column("raters", Integer, nullable=False),
    UniqueConstraint("project_id", "experiment_id", "evaluator", "item_id", "trial", name="label_task_answer"),
)

label_holds = Table(
    "label_holds",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("task_id", String(32), primary_key=True),
    Column("rater_id", String(256), primary_key=True),
    Column("until_ns", BigInteger, nullable=False),
    Column("is_skipped", Boolean, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("task_id", String(32), primary_key=True),
    Column("rater_id", String(256), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("rater", Text, nullable=False),
    Column("value", Float),
    Column("category", Text, nullable=False),
    Column("items", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("is_adjudication", Boolean, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("labelled_ns", BigInteger, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("schema", Text, nullable=False),
    Column("items", Integer, nullable=False),
    Column("source", String(16), nullable=False),
    Column("pushed_by", Text, nullable=False),
)

dataset_labels = Table(
    "dataset_labels",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("moved_ns", BigInteger, nullable=False),
    Column("moved_by", Text, nullable=False),
)
