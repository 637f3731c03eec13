"""`console`: the registry's pages, in a browser that is signed in."""

from __future__ import annotations

import webbrowser

import click
import requests

from slipway_cli.output import say, write_line
from slipway_cli.session import connect
from slipway_cli.tree import alone


@alone("console", "slipway console --print")
@click.option("--print", "is_printed", is_flag=True, help="Print the address, and open nothing.")
def console(is_printed: bool) -> None:
    """Open the registry's console in a browser, signed in as you are here.

    The address is good once, for a minute. An open registry's needs no signing in.
    """
    client = connect()
    url = client.registry.url
    is_open = client.ask_openly("/v2/").status_code == requests.codes.ok
    path = "/console/" if is_open else str(client.send("POST", "/api/v1/console/links", {})["path"])
    if is_printed or not webbrowser.open(f"{url}{path}"):
        write_line(f"{url}{path}")
    else:
        say(f"opened {url}/console/")
