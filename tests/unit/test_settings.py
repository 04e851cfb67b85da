"""Settings: one frozen model, unknown names refused, every field explained."""

import pytest
from pydantic import ValidationError

from app.settings import Settings

FIELDS = sorted(Settings.model_fields)
NO_NUMBERS = ("allow_network_folder", "api_keys_file", "job_log", "jobs_database", "jobs_folder", "kernels")
NUMBERS = [name for name in FIELDS if name not in NO_NUMBERS]


def test_the_defaults_are_valid() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_sequence_sise"):
        Settings.model_validate({"max_sequence_sise": 1})


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.max_queued_jobs = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_default_and_a_description(name: str) -> None:
    field = Settings.model_fields[name]
    assert not field.is_required()
    assert field.description


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_lower_bound(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        Settings.model_validate({name: -1})


@pytest.mark.parametrize("name", ["api_keys_file", "jobs_folder"])
def test_an_empty_path_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="at least 1 character"):
        Settings.model_validate({name: ""})


def test_durable_jobs_are_in_no_other_database_than_postgresql() -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        Settings.model_validate({"jobs_database": "mysql://alice@db/jobs"})


@pytest.mark.parametrize("url", ["postgresql://alice:pssst@db/jobs", "postgresql://alice@db/jobs?password=pssst"])
def test_a_password_in_the_settings_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ValidationError, match="a password does not belong here") as refused:
        Settings.model_validate({"jobs_database": url})
    assert "pssst" not in str(refused.value)
    assert Settings.model_validate({"jobs_database": "postgresql://alice@db:5432/jobs?sslmode=require"}).jobs_database


@pytest.mark.parametrize("name", [name for name in FIELDS if name.endswith("_seconds")])
def test_no_setting_takes_what_is_not_a_number(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: float("nan")})
