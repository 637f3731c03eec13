# A company: a highly available database, a domain with Cloud Armor before it, a key and a network of its own.
project_id = "example-registry"
region     = "europe-west1"
size       = "large"

# What the project was granted beyond a new one's 20 vCPU and 40 GiB: docs/deploy.md says how to ask.
quota = { vcpus = 80, memory_gib = 64 }

domain                          = "registry.example.com"
requests_per_minute_and_address = 60000

kms_key = "projects/example-keys/locations/europe-west1/keyRings/registry/cryptoKeys/registry"
network = {
  network    = "projects/example-network/global/networks/shared"
  subnetwork = "projects/example-network/regions/europe-west1/subnetworks/functions"
}

# GitLab issues the tokens, and says who may do what.
access        = "external"
token_service = "container_registry"
external = {
  issuer   = "omnibus-gitlab-issuer"
  realm    = "https://gitlab.example.com/jwt/auth"
  jwks_url = "https://gitlab.example.com/oauth/discovery/keys"
}

# A bucket of another project, in another region, with a retention that is locked: docs/backup.md.
backup_bucket = {
  bucket = "example-registry-backups"
  prefix = "production"
  keep   = "7d,4w,12m"
}

deployers    = ["serviceAccount:deploy@example-registry.iam.gserviceaccount.com"]
alert_emails = ["registry@example.com", "oncall@example.com"]
budget = {
  billing_account = "012345-6789AB-CDEF01"
  amount          = 3000
}
