# A team with its CI: an instance is always warm, and the budget is watched.
project_id = "example-registry"
region     = "europe-west1"
size       = "team"
labels     = { team = "platform" }

# Public repositories are read without a token by many; a person's CI pushes from GitHub.
settings = {
  SLIPWAY_OIDC_ISSUERS        = "https://token.actions.githubusercontent.com"
  SLIPWAY_REQUESTS_PER_MINUTE = "12000"
}

# People sign in to the console with their Google accounts. The client's secret was put into Secret Manager first.
console_issuer = {
  issuer    = "https://accounts.google.com"
  client_id = "123456789012-example.apps.googleusercontent.com"
  secret    = "console-client"
}

# The team's own page of its images reads the registry in the browser.
cors_origins = ["https://images.example.com"]

# A net under garbage collection: a week in which a blob can be had back, at its price.
blob_soft_delete_days = 7

deployers    = ["group:platform@example.com", "serviceAccount:deploy@example-registry.iam.gserviceaccount.com"]
alert_emails = ["platform@example.com"]
budget = {
  billing_account = "012345-6789AB-CDEF01"
  amount          = 300
}
