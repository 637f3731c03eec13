"""`completion`: what a shell reads to complete the command line."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from slipway_cli.output import write
from slipway_cli.tree import alone

# bash takes a colon for the end of a word, and images are named with one: what it is given begins behind the last.
_BASH: Final = """\
_slipway_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" last before="" type value
    local -a words
    IFS=' ' read -ra words <<< "$line"
    local number=${#words[@]}
    [[ $line == *' ' ]] || number=$((number - 1))
    last="${line##* }"
    [[ $last == *:* && $COMP_WORDBREAKS == *:* ]] && before="${last%:*}:"
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before"}") ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=$number _SLIPWAY_COMPLETE=bash_complete "$1")
}
complete -o nosort -F _slipway_completion slipway
"""


@alone("completion", "slipway completion bash", "slipway completion zsh", "slipway completion fish", is_local=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options, and names of repositories, tags and people.

    \b
    bash  echo 'eval "$(slipway completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(slipway completion zsh)"' >> ~/.zshrc
    fish  slipway completion fish > ~/.config/fish/completions/slipway.fish
    """
    if shell == "bash":
        write(_BASH)
        return
    made = get_completion_class(shell)
    if made is None:  # pragma: no cover  # click has all three
        raise click.UsageError(f"there is no completion for {shell}")
    root = click.get_current_context().find_root().command
    write(made(root, {}, "slipway", "_SLIPWAY_COMPLETE").source())
