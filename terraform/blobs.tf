resource "google_storage_bucket" "blobs" {
  name                        = "${var.project_id}-${var.name}-blobs"
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # What is pulled lies here: a bucket with objects in it can't be destroyed.
  force_destroy = false

  # Left out, it would be seven days, billed: garbage collection would free nothing for a week. No versioning, and no
  # lifecycle rule that deletes, for the same reason: what goes and when is garbage collection's to say.
  soft_delete_policy {
    retention_duration_seconds = var.blob_soft_delete_days * 86400
  }

  # A blob is read from here, by a redirect from the registry: a browser then names no origin that could be compared
  # (Fetch standard, "HTTP-redirect fetch"). Whoever has a signed URL may read the object with any program anyway.
  dynamic "cors" {
    for_each = length(var.cors_origins) == 0 ? [] : [1]

    content {
      origin          = ["*"]
      method          = ["GET", "HEAD"]
      response_header = ["Content-Length", "Content-Range", "Content-Type", "ETag", "Range"]
      max_age_seconds = 3600
    }
  }

  dynamic "encryption" {
    for_each = local.kms_keys

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# What the programs call, and nothing else: none may overwrite an object's rights or touch the bucket.
resource "google_project_iam_custom_role" "api_blobs" {
  role_id     = "${replace(var.name, "-", "_")}_api_blobs"
  title       = "Slipway api: blobs"
  description = "Upload, compose, read and, through signed URLs, serve blobs."
  permissions = ["storage.objects.create", "storage.objects.get"]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_custom_role" "gc_blobs" {
  role_id     = "${replace(var.name, "-", "_")}_gc_blobs"
  title       = "Slipway gc: blobs"
  description = "Delete what the database has queued for deletion, and read what images run on from their configs."
  permissions = ["storage.objects.delete", "storage.objects.get"]

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "api_blobs" {
  bucket = google_storage_bucket.blobs.name
  role   = google_project_iam_custom_role.api_blobs.id
  member = google_service_account.this["api"].member
}

resource "google_storage_bucket_iam_member" "gc_blobs" {
  bucket = google_storage_bucket.blobs.name
  role   = google_project_iam_custom_role.gc_blobs.id
  member = google_service_account.this["gc"].member
}

resource "google_project_iam_custom_role" "work_blobs" {
  role_id     = "${replace(var.name, "-", "_")}_work_blobs"
  title       = "Slipway work: blobs"
  description = "List and read what is moved in, and write what is copied. It deletes nothing."
  permissions = ["storage.objects.create", "storage.objects.get", "storage.objects.list"]

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "work_blobs" {
  bucket = google_storage_bucket.blobs.name
  role   = google_project_iam_custom_role.work_blobs.id
  member = google_service_account.this["work"].member
}

# The bucket that another registry has, while it is moved in: what it holds is listed and copied, and what is written
# back lies beside it.
resource "google_storage_bucket_iam_member" "work_source" {
  count = var.import_source == null ? 0 : 1

  bucket = var.import_source.bucket
  role   = google_project_iam_custom_role.work_blobs.id
  member = google_service_account.this["work"].member
}

# What clients ask for before it is imported is looked for there, one object at a time. Only who may list is told that
# there is no object of a name; anybody else is refused.
resource "google_project_iam_custom_role" "api_source" {
  count = var.import_source == null ? 0 : 1

  role_id     = "${replace(var.name, "-", "_")}_api_source"
  title       = "Slipway api: another registry"
  description = "Look for what is moved in, and read it."
  permissions = ["storage.objects.get", "storage.objects.list"]

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "api_source" {
  count = var.import_source == null ? 0 : 1

  bucket = var.import_source.bucket
  role   = google_project_iam_custom_role.api_source[0].id
  member = google_service_account.this["api"].member
}

# What changes there is told to whoever works at the import. A lost message costs time alone.
resource "google_pubsub_topic_iam_member" "source_tells" {
  count = try(var.import_source.notify, false) ? 1 : 0

  topic  = google_pubsub_topic.trigger["work"].id
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.source[0].member
}

data "google_storage_project_service_account" "source" {
  count = try(var.import_source.notify, false) ? 1 : 0

  project = var.project_id

  depends_on = [google_project_service.api]
}

resource "google_storage_notification" "source" {
  count = try(var.import_source.notify, false) ? 1 : 0

  bucket             = var.import_source.bucket
  payload_format     = "JSON_API_V1"
  topic              = google_pubsub_topic.trigger["work"].id
  event_types        = ["OBJECT_FINALIZE", "OBJECT_DELETE"]
  object_name_prefix = "${var.import_source.prefix}docker/registry/v2/repositories/"

  depends_on = [google_pubsub_topic_iam_member.source_tells]
}

# Only to hand it back: links of what was deleted here, never a blob.
resource "google_project_iam_custom_role" "work_unlinks" {
  count = try(var.import_source.hand_back, false) ? 1 : 0

  role_id     = "${replace(var.name, "-", "_")}_work_unlinks"
  title       = "Slipway work: links of another registry"
  description = "Take away what links another registry's manifests and tags."
  permissions = ["storage.objects.delete"]

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "work_unlinks" {
  count = try(var.import_source.hand_back, false) ? 1 : 0

  bucket = var.import_source.bucket
  role   = google_project_iam_custom_role.work_unlinks[0].id
  member = google_service_account.this["work"].member

  condition {
    title = "${var.name}-links"
    expression = join(" || ", [
      for folder in ["v2/repositories/", "lockfiles/"] :
      "resource.name.startsWith('projects/_/buckets/${var.import_source.bucket}/objects/${var.import_source.prefix}docker/registry/${folder}')"
    ])
  }
}

# Where backups go. Google's own roles: the bucket may be another project's, where a role of this one means nothing. What
# deletes there is given only where backups are pruned.
resource "google_storage_bucket_iam_member" "work_backups" {
  for_each = var.backup_bucket == null ? toset([]) : var.backup_bucket.keep == "" ? toset(["roles/storage.objectCreator", "roles/storage.objectViewer"]) : toset(["roles/storage.objectUser"])

  bucket = var.backup_bucket.bucket
  role   = each.value
  member = google_service_account.this["work"].member
}
