# What deploys by itself (docs/deploy.md): an account with the rights that deploying takes, and who may act as it. The
# first apply is made by a person; from then on the pipeline applies this too.

locals {
  has_pipeline = var.pipeline != null
  github       = local.has_pipeline ? var.pipeline.github : null
  cloud_build  = local.has_pipeline ? var.pipeline.cloud_build : null
  # What comes from another environment was tested there.
  tests_here = local.cloud_build != null && try(var.pipeline.promoted_from, "") == ""

  # docs/deploy.md has the same table. Whoever may set the project's rights may give itself any: who can start the
  # pipeline is who owns the project.
  deployer_roles = toset(!local.has_pipeline ? [] : concat(
    [
      "roles/artifactregistry.admin",
      "roles/cloudfunctions.admin",
      "roles/cloudscheduler.admin",
      "roles/cloudsql.admin",
      "roles/iam.roleAdmin",
      "roles/iam.serviceAccountAdmin",
      "roles/iam.serviceAccountUser",
      "roles/logging.configWriter",
      "roles/monitoring.admin",
      "roles/pubsub.admin",
      "roles/resourcemanager.projectIamAdmin",
      "roles/run.admin",
      "roles/secretmanager.admin",
      "roles/serviceusage.serviceUsageAdmin",
      "roles/storage.admin",
    ],
    local.makes_network ? ["roles/compute.networkAdmin", "roles/servicenetworking.networksAdmin"] : [],
    var.domain != null ? ["roles/compute.loadBalancerAdmin", "roles/compute.securityAdmin"] : [],
    local.github != null ? ["roles/iam.workloadIdentityPoolAdmin"] : [],
    local.cloud_build != null ? ["roles/cloudbuild.builds.editor", "roles/logging.logWriter"] : [],
  ))
}

resource "google_service_account" "deployer" {
  count = local.has_pipeline ? 1 : 0

  account_id   = "${var.name}-deploy"
  display_name = "Slipway: deploys"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "deployer" {
  for_each = local.deployer_roles

  project = var.project_id
  role    = each.value
  member  = google_service_account.deployer[0].member
}

# Its own identity tokens, and nobody else's: for the function `migrate`, and to sign in to the registry.
resource "google_service_account_iam_member" "deployer_identifies_itself" {
  count = local.has_pipeline ? 1 : 0

  service_account_id = google_service_account.deployer[0].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.deployer[0].member
}

resource "google_cloud_run_v2_service_iam_member" "pipeline_calls_migrate" {
  count = local.has_pipeline ? 1 : 0

  name     = google_cloudfunctions2_function.this["migrate"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.deployer[0].member
}

# The next environment's pipeline reads here what this one has promoted, and nothing else of the state's bucket.
resource "google_storage_bucket_iam_member" "next_reads_promoted" {
  for_each = local.has_pipeline ? var.pipeline.promotes_to : toset([])

  bucket = var.pipeline.state_bucket
  role   = "roles/storage.objectViewer"
  member = each.value

  condition {
    title      = "${var.name}-promoted"
    expression = "resource.name.startsWith('projects/_/buckets/${var.pipeline.state_bucket}/objects/promoted/')"
  }
}

resource "google_iam_workload_identity_pool" "github" {
  count = local.github != null ? 1 : 0

  workload_identity_pool_id = "${var.name}-github"
  display_name              = "GitHub"

  depends_on = [google_project_service.api]
}

# Everybody at GitHub gets tokens of this issuer. The repository is told by its number: its name can be given again.
# The environment is what GitHub lets a job into only after approval, the branch what it deploys.
resource "google_iam_workload_identity_pool_provider" "github" {
  count = local.github != null ? 1 : 0

  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_condition                = "assertion.repository_id == '${local.github.repository_id}' && assertion.environment == '${local.github.environment}' && assertion.ref == 'refs/heads/${local.github.branch}'"

  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github_deploys" {
  count = local.github != null ? 1 : 0

  service_account_id = google_service_account.deployer[0].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/attribute.repository_id/${local.github.repository_id}"
}

resource "google_cloudbuild_trigger" "deploy" {
  count = local.cloud_build != null ? 1 : 0

  name            = "${var.name}-deploy"
  location        = var.region
  description     = "Slipway: cloudbuild.yaml, for what is pushed to ${local.cloud_build.branch}"
  service_account = google_service_account.deployer[0].id
  filename        = "cloudbuild.yaml"

  repository_event_config {
    repository = local.cloud_build.repository

    push {
      branch = "^${local.cloud_build.branch}$"
    }
  }

  approval_config {
    approval_required = local.cloud_build.needs_approval
  }

  substitutions = {
    _DEPLOYER      = google_service_account.deployer[0].email
    _PROMOTED_FROM = var.pipeline.promoted_from
    _STATE_BUCKET  = var.pipeline.state_bucket
    _TESTED_IN     = local.tests_here ? var.pipeline.state_bucket : ""
    _VARIABLES     = var.pipeline.variables
  }

  depends_on = [google_project_service.api]
}

# Tests run what many hands have written: as an account that may say that a commit passed, and write its log.
resource "google_service_account" "test" {
  count = local.tests_here ? 1 : 0

  account_id   = "${var.name}-test"
  display_name = "Slipway: tests what is going to be deployed"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "test_logs" {
  count = local.tests_here ? 1 : 0

  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.test[0].member
}

resource "google_storage_bucket_iam_member" "test_says_so" {
  count = local.tests_here ? 1 : 0

  bucket = var.pipeline.state_bucket
  role   = "roles/storage.objectCreator"
  member = google_service_account.test[0].member

  condition {
    title      = "${var.name}-tested"
    expression = "resource.name.startsWith('projects/_/buckets/${var.pipeline.state_bucket}/objects/tested/')"
  }
}

resource "google_cloudbuild_trigger" "test" {
  count = local.tests_here ? 1 : 0

  name            = "${var.name}-test"
  location        = var.region
  description     = "Slipway: cloudbuild.test.yaml, for what is pushed to ${local.cloud_build.branch}"
  service_account = google_service_account.test[0].id
  filename        = "cloudbuild.test.yaml"

  repository_event_config {
    repository = local.cloud_build.repository

    push {
      branch = "^${local.cloud_build.branch}$"
    }
  }

  substitutions = {
    _TESTED_IN = var.pipeline.state_bucket
  }

  depends_on = [google_project_service.api]
}
