"""What the preflight says to four who come with a project: `python -m tests.preflight` prints it, to be read."""

from __future__ import annotations

import os
import subprocess
import sys

from deploy.preflight.google import ENDPOINT_VARIABLE, TOKEN_VARIABLE
from tests.preflight.google import TOKEN, serving
from tests.preflight.project import PROJECT, REGION, TINY, GoogleProject, new_project, permissions_of


def _narrow() -> GoogleProject:
    granted = permissions_of(TINY, without=("resourcemanager.projectIamAdmin", "pubsub.admin"))
    return GoogleProject(caller="deployer@example-registry.iam.gserviceaccount.com", permissions=granted)


def _organisation() -> GoogleProject:
    members = [{"values": {"allowedValues": ["is:C03xgje4y"]}}]
    places = [{"values": {"allowedValues": ["in:eu-locations"]}}]
    return GoogleProject(policies={"iam.allowedPolicyMemberDomains": members, "gcp.resourceLocations": places})


def main() -> int:
    projects = {
        "an owner, of a prepared project": GoogleProject(),
        "a narrow deployer": _narrow(),
        "a new project": new_project(),
        "an organisation with domain-restricted sharing": _organisation(),
    }
    for title, project in projects.items():
        sys.stdout.write(f"\n== {title}\n\n")
        sys.stdout.flush()
        with serving(project) as fake:
            environment = {**os.environ, ENDPOINT_VARIABLE: fake.address, TOKEN_VARIABLE: TOKEN}
            command = [sys.executable, "-m", "deploy.preflight", f"--project={PROJECT}", f"--region={REGION}"]
            done = subprocess.run(command, env=environment, check=False)
        sys.stdout.write(f"exit code {done.returncode}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
