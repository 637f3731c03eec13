# What the pipeline applies once staging has promoted a commit and somebody has approved it.
project_id = "example-registry"
region     = "europe-west1"
size       = "team"

deployers    = ["group:platform@example.com"]
alert_emails = ["platform@example.com"]

pipeline = {
  state_bucket  = "example-registry-terraform"
  variables     = "deploy/production.tfvars"
  promoted_from = "example-registry-staging-terraform"

  # Whichever you use: one of these, or both.
  github = {
    repository_id = "123456789"
    environment   = "production"
  }
  cloud_build = {
    repository = "projects/example-registry/locations/europe-west1/connections/github/repositories/slipway"
  }
}
