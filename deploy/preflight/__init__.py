"""What has to be there before `terraform apply`, made or named: `python3 -m deploy.preflight --help`."""
