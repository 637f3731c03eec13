# What is deployed: for each function an archive with its main.py at the root, where the platform looks for it, the
# locked requirements, and the package `functions` as far as that function needs it. The root is on the import path, so
# `functions.…` is found. An archive has the same bytes for the same files, whatever their times and modes.

locals {
  tree  = "${path.module}/../functions"
  rooms = toset(["api", "deliver", "gc", "migrate", "work"])

  # Of each the file that becomes main.py, and the files that it needs. Two of them share a folder.
  programs = {
    api     = { main = "api/main.py", files = fileset(local.tree, "api/**/*.{py,sql,json,html,css,js,svg}") }
    deliver = { main = "deliver/main.py", files = fileset(local.tree, "deliver/**/*.{py,sql,json}") }
    gc      = { main = "gc/main.py", files = fileset(local.tree, "gc/**/*.{py,sql,json}") }
    migrate = { main = "migrate/main.py", files = setsubtract(fileset(local.tree, "migrate/**/*.{py,sql,json}"), local.of_work) }
    work    = { main = "migrate/work.py", files = setunion(local.of_work, local.of_both, ["migrate/__init__.py"]) }
  }
  of_both = fileset(local.tree, "migrate/backups/**/*.{py,sql,json}")
  of_work = setunion(fileset(local.tree, "migrate/{background,checks,imports}/**/*.{py,sql,json}"), ["migrate/work.py"])

  files = {
    for room, program in local.programs : room => merge(
      {
        "main.py"               = "${local.tree}/${program.main}"
        "requirements.txt"      = "${local.tree}/requirements.txt"
        "functions/__init__.py" = "${local.tree}/__init__.py"
      },
      {
        for file in setunion(program.files, fileset(local.tree, "registry/**/*.{py,sql,json}")) : "functions/${file}" => "${local.tree}/${file}"
        if file != program.main
      },
    )
  }
}

data "archive_file" "function" {
  for_each = local.rooms

  type             = "zip"
  output_path      = "${path.module}/build/${each.key}.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.files[each.key]

    content {
      filename = source.key
      content  = file(source.value)
    }
  }
}

resource "google_storage_bucket" "source" {
  name                        = "${var.project_id}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = local.kms_keys

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# A new hash is a new name, and a new name is a new build.
resource "google_storage_bucket_object" "source" {
  for_each = local.rooms

  bucket       = google_storage_bucket.source.name
  name         = "${each.key}-${data.archive_file.function[each.key].output_sha256}.zip"
  source       = data.archive_file.function[each.key].output_path
  content_type = "application/zip"
}

resource "google_storage_bucket_iam_member" "build_reads_source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.this["build"].member
}

# Cloud Functions copies the archive to a bucket of its own, which it makes with the first function, and builds from
# there. The bucket's name is known; what follows it, with a key, is not.
resource "google_project_iam_member" "build_reads_copied_source" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.this["build"].member

  condition {
    title      = "${var.name}-copied-source"
    expression = "resource.name.startsWith('projects/_/buckets/gcf-v2-sources-${local.project_number}-${var.region}')"
  }
}

resource "google_artifact_registry_repository" "functions" {
  repository_id = "${var.name}-functions"
  location      = var.region
  format        = "DOCKER"
  description   = "The images that the functions' builds make."
  kms_key_name  = var.kms_key

  # Revisions start from their image: ten builds back is further than anyone rolls back.
  cleanup_policies {
    id     = "keep"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete"
    action = "DELETE"

    condition {
      older_than = "7776000s"
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_artifact_registry_repository_iam_member" "build_writes" {
  repository = google_artifact_registry_repository.functions.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.this["build"].member
}

resource "google_project_iam_member" "build_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.this["build"].member
}
