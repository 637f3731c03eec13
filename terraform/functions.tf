locals {
  functions = {
    api = {
      description   = var.http2 ? "Slipway: builds the image that the registry's service runs; receives no traffic." : "Slipway: the registry."
      entry_point   = "api"
      memory_mib    = local.size.registry_memory_mib
      timeout       = local.registry_seconds
      min_instances = var.http2 ? 0 : local.size.registry_min_instances
      max_instances = local.api_max_instances
      concurrency   = local.size.registry_concurrency
      ingress       = var.http2 ? "ALLOW_INTERNAL_ONLY" : var.domain != null ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
    }
    gc = {
      description   = "Slipway: collects what is due, whenever Pub/Sub wakes it."
      entry_point   = "collect"
      memory_mib    = 512
      timeout       = local.gc_seconds
      min_instances = 0
      max_instances = local.size.gc_max_instances
      # A GC run fills an instance.
      concurrency = 1
      # A push subscription's deliveries count as internal.
      ingress = "ALLOW_INTERNAL_ONLY"
    }
    work = {
      description   = "Slipway: moves other registries in, whenever Pub/Sub wakes it."
      entry_point   = "work"
      memory_mib    = 512
      timeout       = local.gc_seconds
      min_instances = 0
      max_instances = local.size.work_max_instances
      # A worker fills an instance.
      concurrency = 1
      # As that of garbage collection.
      ingress = "ALLOW_INTERNAL_ONLY"
    }
    deliver = {
      description   = "Slipway: tells subscribers what changes, whenever Pub/Sub wakes it."
      entry_point   = "deliver"
      memory_mib    = 512
      timeout       = local.gc_seconds
      min_instances = 0
      max_instances = local.size.deliver_max_instances
      # It waits for other people's servers, and one run does the work of all that wake it meanwhile.
      concurrency = 80
      # As that of garbage collection.
      ingress = "ALLOW_INTERNAL_ONLY"
    }
    migrate = {
      description   = "Slipway: moves the schema, whenever a deployment calls it."
      entry_point   = "migrate"
      memory_mib    = 512
      timeout       = local.migrate_seconds
      min_instances = 0
      max_instances = 1
      concurrency   = 1
      # Called from wherever one deploys; IAM is the door.
      ingress = "ALLOW_ALL"
    }
  }
}

# By itself, because the registry's image is read after it: a change of the others must not touch the registry.
resource "google_cloudfunctions2_function" "api" {
  name         = "${var.name}-api"
  location     = var.region
  description  = local.functions["api"].description
  kms_key_name = var.kms_key

  build_config {
    runtime           = var.python_runtime
    entry_point       = local.functions["api"].entry_point
    service_account   = google_service_account.this["build"].id
    docker_repository = google_artifact_registry_repository.functions.id

    # The image of an automatic policy has no base of its own, and the HTTP/2 service is made from it.
    on_deploy_update_policy {}

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["api"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this["api"].email
    available_memory                 = "${local.functions["api"].memory_mib}Mi"
    available_cpu                    = tostring(local.api_workers)
    timeout_seconds                  = local.functions["api"].timeout
    min_instance_count               = local.functions["api"].min_instances
    max_instance_count               = local.functions["api"].max_instances
    max_instance_request_concurrency = local.functions["api"].concurrency
    ingress_settings                 = local.functions["api"].ingress
    all_traffic_on_latest_revision   = true
    environment_variables            = local.environment["api"]
    direct_vpc_egress                = var.private_database ? "VPC_EGRESS_PRIVATE_RANGES_ONLY" : null

    dynamic "direct_vpc_network_interface" {
      for_each = local.attachments

      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
      }
    }

    dynamic "secret_environment_variables" {
      for_each = local.secret_environment["api"]

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }
  }

  lifecycle {
    precondition {
      condition     = local.upload_memory_mib <= local.size.registry_memory_mib / 2
      error_message = "${local.workers * local.threads} uploads at once keep ${local.upload_memory_mib} MiB, more than half of ${local.size.registry_memory_mib} MiB: lower registry_concurrency or upload_chunk_mib, or raise registry_memory_mib."
    }
    precondition {
      condition     = local.registry_vcpus <= var.quota.vcpus && local.registry_memory_gib <= var.quota.memory_gib
      error_message = "All instances at once take ${local.registry_vcpus} vCPU and ${local.registry_memory_gib} GiB, and the quota is ${var.quota.vcpus} vCPU and ${var.quota.memory_gib} GiB in the region: ask for more, and write into `quota` what was granted; or lower registry_max_instances."
    }
  }

  depends_on = [
    google_project_service.api,
    google_artifact_registry_repository_iam_member.build_writes,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_reads_copied_source,
    google_secret_manager_secret_iam_member.reads,
    google_secret_manager_secret_version.made,
    google_storage_bucket_iam_member.build_reads_source,
  ]
}

resource "google_cloudfunctions2_function" "this" {
  for_each = toset(["deliver", "gc", "migrate", "work"])

  name         = "${var.name}-${each.key}"
  location     = var.region
  description  = local.functions[each.key].description
  kms_key_name = var.kms_key

  build_config {
    runtime           = var.python_runtime
    entry_point       = local.functions[each.key].entry_point
    service_account   = google_service_account.this["build"].id
    docker_repository = google_artifact_registry_repository.functions.id

    # The image of an automatic policy has no base of its own, and the HTTP/2 service is made from it.
    on_deploy_update_policy {}

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source[each.key].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this[each.key].email
    available_memory                 = "${local.functions[each.key].memory_mib}Mi"
    available_cpu                    = "1"
    timeout_seconds                  = local.functions[each.key].timeout
    min_instance_count               = local.functions[each.key].min_instances
    max_instance_count               = local.functions[each.key].max_instances
    max_instance_request_concurrency = local.functions[each.key].concurrency
    ingress_settings                 = local.functions[each.key].ingress
    all_traffic_on_latest_revision   = true
    environment_variables            = local.environment[each.key]
    direct_vpc_egress                = var.private_database ? "VPC_EGRESS_PRIVATE_RANGES_ONLY" : null

    dynamic "direct_vpc_network_interface" {
      for_each = local.attachments

      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
      }
    }

    dynamic "secret_environment_variables" {
      for_each = local.secret_environment[each.key]

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }

    dynamic "secret_volumes" {
      for_each = var.access == "token" ? toset(values(local.secret_files[each.key])) : toset([])

      content {
        mount_path = local.secrets_folder
        project_id = var.project_id
        secret     = google_secret_manager_secret.this[secret_volumes.value].secret_id

        versions {
          version = "latest"
          path    = secret_volumes.value
        }
      }
    }
  }

  depends_on = [
    google_project_service.api,
    google_artifact_registry_repository_iam_member.build_writes,
    # A pipeline applies `migrate` alone and calls it: by then it has to be able to log in.
    google_project_iam_member.database,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_reads_copied_source,
    google_secret_manager_secret_iam_member.reads,
    google_secret_manager_secret_version.admin_placeholder,
    google_secret_manager_secret_version.made,
    google_sql_user.this,
    google_storage_bucket_iam_member.build_reads_source,
  ]
}

# Without the HTTP/2 front the function is the registry, and docker sends no identity of Google's: anybody has to reach
# it, and it asks for a token itself.
resource "google_cloud_run_v2_service_iam_member" "anyone_calls_api" {
  count = var.http2 ? 0 : 1

  name     = google_cloudfunctions2_function.api.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

resource "google_cloud_run_v2_service_iam_member" "push_calls" {
  for_each = local.triggers

  name     = google_cloudfunctions2_function.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.this["push"].member
}

resource "google_cloud_run_v2_service_iam_member" "deployer_calls_migrate" {
  for_each = var.deployers

  name     = google_cloudfunctions2_function.this["migrate"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}
