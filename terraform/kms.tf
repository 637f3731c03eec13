# With a key of your own, each service that stores something has to be allowed to use it.

locals {
  # A set of one or none, for the blocks that name it.
  kms_keys = toset(var.kms_key == null ? [] : [var.kms_key])

  kms_agents = var.kms_key == null ? {} : {
    images         = "gcp-sa-artifactregistry.iam.gserviceaccount.com"
    storage        = "gs-project-accounts.iam.gserviceaccount.com"
    sql            = "gcp-sa-cloud-sql.iam.gserviceaccount.com"
    pubsub         = "gcp-sa-pubsub.iam.gserviceaccount.com"
    secret_manager = "gcp-sa-secretmanager.iam.gserviceaccount.com"
  }
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.kms_agents

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${local.project_number}@${each.value}"
}
