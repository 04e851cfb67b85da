"""The schema of the store: made where there is none, brought forward where it is older, refused where it is newer."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, insert, inspect, select, update

from app.durable.store import StoreError
from app.durable.tables import KEEPER, METADATA

Migration = Callable[[Connection], None]
"""Brings a schema from one version to the next, in the transaction that it is given."""

MIGRATIONS: tuple[Migration, ...] = ()
"""The first is from version 1 to 2. There is no way back: an older service refuses a newer schema."""


def prepare(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Make sure of the newest schema, in the present transaction. Raises ``StoreError`` if it is newer than that."""
    newest = 1 + len(migrations)
    if not inspect(connection).has_table(KEEPER.name):
        METADATA.create_all(connection, checkfirst=False)  # jobs without a keeper are somebody else's
        first = {"id": 1, "epoch": 0, "instance": "", "started_at": 0, "committed_at": 0, "last_number": 0}
        connection.execute(insert(KEEPER).values(schema_version=newest, **first))
        return
    # The lock makes two keepers that start at once take turns.
    locked = select(KEEPER.c.schema_version).where(KEEPER.c.id == 1).with_for_update()
    version = connection.execute(locked).scalar_one()
    if version > newest:
        raise StoreError(
            f"the stored jobs are of schema version {version}, and this service knows versions up to {newest}"
        )
    if version < newest:
        for migrate in migrations[version - 1 :]:
            migrate(connection)
        connection.execute(update(KEEPER).values(schema_version=newest))
