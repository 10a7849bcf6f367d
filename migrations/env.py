"""Alembic's entry: runs the migrations over the connection that `revpipe migrate` hands in."""

from alembic import context

import revpipe.models  # noqa: F401  (fills the metadata)
from revpipe.db import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
