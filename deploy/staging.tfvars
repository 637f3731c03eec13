# What the pipeline applies first: put your own names here, and keep the file in your copy of the repository.
project_id = "example-registry-staging"
region     = "europe-west1"
size       = "tiny"

alert_emails = ["platform@example.com"]

pipeline = {
  state_bucket = "example-registry-staging-terraform"
  variables    = "deploy/staging.tfvars"
  promotes_to  = ["serviceAccount:slipway-deploy@example-registry.iam.gserviceaccount.com"]

  # Whichever you use: one of these, or both.
  github = {
    repository_id = "123456789"
    environment   = "staging"
  }
  cloud_build = {
    repository     = "projects/example-registry-staging/locations/europe-west1/connections/github/repositories/slipway"
    needs_approval = false
  }
}
