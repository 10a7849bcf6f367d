"""`revpipe web`. Apart from the other processes, which have no use for all that web pages need."""

import click

from revpipe import observability, wsgi
from revpipe.commands.context import connected


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 where a router stands in front.")
@click.option("--port", default=8000, show_default=True, envvar="PORT")
@click.option("--processes", default=2, show_default=True, envvar="WEB_CONCURRENCY")
def web(host: str, port: int, processes: int) -> None:
    """Receive webhooks, answer the API and show the console."""
    with connected() as settings:
        observability.configure(settings, "web")
        wsgi.serve(settings, host, port, processes)
