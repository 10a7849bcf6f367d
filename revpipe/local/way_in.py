"""How the person at this machine gets into the console of what has just been started."""

from revpipe.db import make_engine, server_time, transaction
from revpipe.errors import RevpipeError
from revpipe.local.formation import Formation
from revpipe.users import first, links


def way_in(running: Formation) -> str:
    """A link that signs the first admin in once, or why there is none.

    Whoever may start all this owns the ledger, so the link gives them nothing that they have not got.
    """
    settings = running.settings
    engine = make_engine(str(settings.database_url), pool_size=1, prepared=settings.database_prepared)
    try:
        with transaction(engine) as tx:
            now = server_time(tx)
        _, token = first.link(engine, now)
    except RevpipeError as error:
        return f"{error}; revpipe users link EMAIL makes a link"
    finally:
        engine.dispose()
    return f"{settings.public_url}{links.PATH}{token}"
