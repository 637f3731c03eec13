"""Looks at a project before the first `terraform apply`: makes what may be made, and says what to ask for, of whom.

    python3 -m deploy.preflight --project=PROJECT --region=REGION --size=tiny

It enables the APIs that are needed and has Google make the agents that act for the project; with --check it changes
nothing. It reads whether the project is billed, quotas against the size, the organisation's policies against what
terraform/ does, and whether the caller may do what an apply takes. Run it as often as you like: nothing is made twice.
It asks as whoever gcloud is signed in as, or with the token in GOOGLE_OAUTH_ACCESS_TOKEN.

exit codes: 0 ready, 1 something is to be put right first, 2 the flags are wrong, 3 something could not be found out
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from deploy.preflight import capacity, checks, permitted
from deploy.preflight.choice import Choice, add_flags, choice_of
from deploy.preflight.findings import UNDECIDED, Finding, State, as_json, summary, verdict
from deploy.preflight.google import Google, NotSignedIn, access_token


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m deploy.preflight", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_flags(parser)
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    return parser


def preflight(google: Google, choice: Choice, *, may_change: bool) -> Iterator[Finding]:
    """Looks at all in the order in which one thing needs another. Raises NotSignedIn."""
    caller = google.caller()
    number, finding = checks.project(google, choice, caller)
    yield finding
    if number is None:
        return
    yield from permitted.rights(google, choice, caller)
    hold = "" if may_change else "without --check they are enabled"
    yield checks.enable_asked(google, choice, hold)
    if unasked := permitted.may_ask(google, choice):
        yield from unasked
        return
    is_billed, finding = checks.billing(google, choice)
    yield finding
    yield checks.enable_applied(google, choice, hold or ("" if is_billed else "once it is billed, run this again"))
    if may_change and is_billed:
        yield from checks.agents(google, choice, number)
    else:
        yield Finding("agents", State.LEFT, "are not asked for here: asking makes them")
    yield from capacity.cloud_run(google, choice)
    yield from capacity.compute(google, choice)
    yield from capacity.database(google, choice)
    yield from permitted.policies(google, choice)
    yield from checks.foreign_network(choice, number)
    yield from permitted.rights_elsewhere(google, choice, caller)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    choice = choice_of(options)
    findings: list[Finding] = []
    try:
        for finding in preflight(Google(access_token(), choice.project), choice, may_change=not options.check):
            findings.append(finding)
            if not options.json:
                _say(*finding.lines())
    except NotSignedIn as error:
        sys.stderr.write(f"preflight: {error}\n")
        return UNDECIDED
    _say(as_json(findings) if options.json else summary(findings))
    return verdict(findings)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
