# With a key of your own, each service that stores something has to be allowed to use it. Google makes a service's agent
# when the service is first used, or when it is asked to: deploy/preflight asks for all of them before the first apply.

locals {
  # A set of one or none, for the blocks that name it.
  kms_keys = toset(var.kms_key == null ? [] : [var.kms_key])

  kms_agents = var.kms_key == null ? {} : {
    images         = "gcp-sa-artifactregistry.iam.gserviceaccount.com"
    sql            = "gcp-sa-cloud-sql.iam.gserviceaccount.com"
    pubsub         = "gcp-sa-pubsub.iam.gserviceaccount.com"
    secret_manager = "gcp-sa-secretmanager.iam.gserviceaccount.com"
    functions      = "gcf-admin-robot.iam.gserviceaccount.com"
    run            = "serverless-robot-prod.iam.gserviceaccount.com"
  }
}

# Asking for the name of this one makes it.
data "google_storage_project_service_account" "agent" {
  count = var.kms_key == null ? 0 : 1

  project = var.project_id

  depends_on = [google_project_service.api]
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = merge(
    { for service, agent in local.kms_agents : service => "serviceAccount:service-${local.project_number}@${agent}" },
    { for agent in data.google_storage_project_service_account.agent : "storage" => agent.member },
  )

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}
