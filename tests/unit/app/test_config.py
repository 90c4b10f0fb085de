"""Settings: where they come from, which source wins, and what is said of a faulty one."""

import dataclasses
from pathlib import Path

import pytest

from zirkel.app.config import (
    CONFIG_FILE,
    Config,
    clean_environment,
    load_client_config,
    load_config,
    process_environment,
    read_variable,
)
from zirkel.core import Invalid


def write_settings(folder: Path, text: str | bytes) -> None:
    (folder / CONFIG_FILE).write_bytes(text if isinstance(text, bytes) else text.encode())


def test_without_any_source_the_defaults_hold() -> None:
    assert load_config({}) == Config()


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    write_settings(tmp_path, "core_port = 1\ngateway_port = 1\notlp_port = 1\n")
    environment = {"ZIRKEL_DATA_DIR": str(tmp_path), "ZIRKEL_GATEWAY_PORT": "2", "ZIRKEL_OTLP_PORT": "2"}
    config = load_config(environment, {"otlp_port": 3})
    assert (config.core_port, config.gateway_port, config.otlp_port) == (1, 2, 3)


def test_an_option_that_was_not_given_changes_nothing() -> None:
    assert load_config({"ZIRKEL_CORE_PORT": "4141"}, {"core_port": None, "host": None}).core_port == 4141


def test_an_option_of_zero_is_given() -> None:
    assert load_config({"ZIRKEL_OTLP_PORT": "4141"}, {"otlp_port": 0}).otlp_port == 0


def test_the_data_directory_decides_which_file_is_read(tmp_path: Path) -> None:
    chosen, other = tmp_path / "chosen", tmp_path / "other"
    for folder, port in ((chosen, 1), (other, 2)):
        folder.mkdir()
        write_settings(folder, f"core_port = {port}\n")
    config = load_config({"ZIRKEL_DATA_DIR": str(other)}, {"data_dir": chosen})
    assert (config.data_dir, config.core_port) == (chosen, 1)


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(Invalid, match="ZIRKEL_CORE_PROT is not a setting") as caught:
        load_config({"ZIRKEL_CORE_PROT": "4040"})
    assert caught.value.path == "ZIRKEL_CORE_PROT"


def test_an_unknown_setting_in_the_file_is_named_with_the_file(tmp_path: Path) -> None:
    write_settings(tmp_path, "core_prot = 4040\n")
    with pytest.raises(Invalid, match="'core_prot' is not a setting") as caught:
        load_config({}, {"data_dir": tmp_path})
    assert caught.value.path == str(tmp_path / CONFIG_FILE)


@pytest.mark.parametrize("variable", ["ZIRKEL_TEST_MODEL", "ZIRKEL_URL", "ZIRKEL_API_KEY", "PATH", "CORE_PORT"])
def test_variables_of_tests_of_the_command_line_and_of_others_are_not_the_servers(variable: str) -> None:
    assert load_config({variable: "7"}) == Config()


@pytest.mark.parametrize("text", ["", "many", "4040.5"])
def test_a_value_that_is_no_number_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(Invalid, match="core_port"):
        load_config({"ZIRKEL_CORE_PORT": text})


@pytest.mark.parametrize("name", ["core_port", "gateway_port", "otlp_port", "otlp_grpc_port"])
@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_is_no_port_is_refused_with_its_name(name: str, port: int) -> None:
    with pytest.raises(Invalid, match=f"{name} {port} is not a port") as caught:
        load_config({}, {name: port})
    assert caught.value.path == name


def test_a_gateway_needs_a_worker() -> None:
    with pytest.raises(Invalid, match="gateway_workers 0 must be at least 1"):
        load_config({"ZIRKEL_GATEWAY_WORKERS": "0"})


@pytest.mark.parametrize("content", [b"core_port = ", b'host = "\xff"', b"core_port 4040"])
def test_a_file_that_is_not_toml_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    write_settings(tmp_path, content)
    with pytest.raises(Invalid) as caught:
        load_config({}, {"data_dir": tmp_path})
    assert caught.value.path == str(tmp_path / CONFIG_FILE)


def test_stores_are_in_the_data_directory_unless_they_are_elsewhere(tmp_path: Path) -> None:
    inside = Config(data_dir=tmp_path)
    assert inside.metadata_url == f"sqlite:///{tmp_path}/metadata.sqlite"
    assert inside.jobs_url == f"sqlite:///{tmp_path}/jobs.sqlite"
    assert inside.blobs_url == f"file://{tmp_path}/blobs"
    assert {inside.snapshot_path.parent, inside.spool_path.parent, inside.master_key_path.parent.parent} == {tmp_path}
    outside = dataclasses.replace(inside, database_url="postgresql://db/z", blob_url="s3://bucket")
    assert (outside.metadata_url, outside.jobs_url, outside.blobs_url) == (
        "postgresql://db/z",
        "postgresql://db/z",
        "s3://bucket",
    )


def test_a_process_of_ours_reads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIRKEL_CORE_PORT", "1")
    monkeypatch.setenv("LANG_OF_THE_HOUSE", "de")
    config = Config(data_dir=tmp_path, core_port=4141, otlp_port=0, database_url="postgresql://db/z")
    environment = process_environment(config)
    assert load_config(environment) == config
    assert environment["LANG_OF_THE_HOUSE"] == "de"


def test_a_clean_environment_has_no_setting_but_the_given_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIRKEL_CORE_PORT", "1")
    monkeypatch.setenv("LANG_OF_THE_HOUSE", "de")
    environment = clean_environment({"ZIRKEL_HOST": "::1"})
    assert {name: value for name, value in environment.items() if name.startswith("ZIRKEL_")} == {"ZIRKEL_HOST": "::1"}
    assert environment["LANG_OF_THE_HOUSE"] == "de"


def test_the_command_line_finds_its_server_beside_the_servers_own_settings() -> None:
    found = load_client_config({"ZIRKEL_URL": "http://10.0.0.1:4040", "ZIRKEL_API_KEY": "zk_1", "ZIRKEL_HOST": "::1"})
    assert (found.url, found.api_key) == ("http://10.0.0.1:4040", "zk_1")
    assert load_client_config({}).url == f"http://127.0.0.1:{Config().core_port}"


def test_a_named_variable_that_is_not_set_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret")
    monkeypatch.delenv("MY_OTHER_SECRET", raising=False)
    assert (read_variable("MY_SECRET"), read_variable("MY_OTHER_SECRET")) == ("s3cret", "")
