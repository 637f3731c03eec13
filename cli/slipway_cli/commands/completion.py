"""`completion`: what a shell reads to complete the command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from slipway_cli.output import write
from slipway_cli.tree import alone


@alone("completion", "slipway completion bash", "slipway completion zsh", "slipway completion fish", is_local=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options, and names of repositories, tags and people.

    \b
    bash  echo 'eval "$(slipway completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(slipway completion zsh)"' >> ~/.zshrc
    fish  slipway completion fish > ~/.config/fish/completions/slipway.fish
    """
    made = get_completion_class(shell)
    if made is None:  # pragma: no cover  # click has all three
        raise click.UsageError(f"there is no completion for {shell}")
    root = click.get_current_context().find_root().command
    write(made(root, {}, "slipway", "_SLIPWAY_COMPLETE").source())
