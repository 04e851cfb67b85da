"""Where durable jobs are kept: the store that the settings name, with its password from the environment."""

from collections.abc import Mapping
from pathlib import Path

from app.durable.sql_store import postgresql_store, sqlite_store
from app.durable.store import Store
from app.settings import Settings

PASSWORD = "FIBONACCI_JOBS_PASSWORD"  # noqa: S105 (the name of a variable)


def store_of(settings: Settings, environ: Mapping[str, str]) -> Store:
    """The database if the settings name one, else the folder; nothing is opened yet.

    Settings travel to logs and to Serve's REST API, so the password is not among them.
    """
    if settings.jobs_database is not None:
        return postgresql_store(settings.jobs_database, environ.get(PASSWORD))
    assert settings.jobs_folder is not None  # noqa: S101 (there is no keeper without either)
    return sqlite_store(Path(settings.jobs_folder), allow_network_folder=settings.allow_network_folder)
