# The registry: the image of the function `api`, behind nginx, which speaks HTTP/2 to the platform. Over HTTP/1 a
# request may have 32 MiB, and docker sends a layer in one: docs/adr/0011-http2-front-and-terraform.md.

locals {
  front_port = 8080
  # functions/api/web/startup.py answers it; the front passes it on to nobody.
  startup_path = "/.startup"
  app_port     = 8081

  nginx_conf = templatefile("${path.module}/nginx.conf", {
    front_port = local.front_port
    app_port   = local.app_port
    project    = var.project_id
    seconds    = local.registry_seconds
    streams    = max(1000, local.size.registry_concurrency)
    # Half of the front's memory at most.
    startup_path = local.startup_path
    body_kib     = min(1024, floor(128 * 1024 / local.size.registry_concurrency))
  })
}

# Docker Hub limits anonymous pulls, and an instance must not depend on it: the project keeps a copy.
resource "google_artifact_registry_repository" "mirror" {
  count = var.http2 ? 1 : 0

  repository_id = "${var.name}-mirror"
  location      = var.region
  format        = "DOCKER"
  mode          = "REMOTE_REPOSITORY"
  description   = "What is used of Docker Hub: nginx."
  kms_key_name  = var.kms_key

  remote_repository_config {
    docker_repository {
      public_repository = "DOCKER_HUB"
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# Underneath a function is a service, and that knows the image. Read only once the function stands as planned.
data "google_cloud_run_v2_service" "api" {
  count = var.http2 ? 1 : 0

  name     = google_cloudfunctions2_function.api.name
  location = var.region

  depends_on = [google_cloudfunctions2_function.api]
}

resource "google_cloud_run_v2_service" "registry" {
  count = var.http2 ? 1 : 0

  name                = var.name
  location            = var.region
  description         = "Slipway: the registry."
  deletion_protection = var.deletion_protection
  # Docker sends no identity of Google's: anybody has to reach it, and it asks for a token itself.
  invoker_iam_disabled = true
  ingress              = var.domain != null ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  default_uri_disabled = var.domain != null

  # Also after a rollback by hand: the next apply serves what it deploys.
  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  # Of the service, not of each revision: two revisions at once share it, and the database's connections hold.
  scaling {
    min_instance_count = local.size.registry_min_instances
    max_instance_count = local.size.registry_max_instances
  }

  template {
    service_account                  = google_service_account.this["api"].email
    timeout                          = "${local.registry_seconds}s"
    max_instance_request_concurrency = local.size.registry_concurrency
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    encryption_key                   = var.kms_key

    scaling {
      max_instance_count = local.size.registry_max_instances
    }

    containers {
      name       = "front"
      image      = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.mirror[0].repository_id}/${var.nginx_image}"
      depends_on = ["app"]
      command    = ["/bin/sh", "-c"]
      # nginx takes TERM for "at once" and QUIT for "finish what is in flight".
      args = [
        "printf %s \"$NGINX_CONF\" > /tmp/nginx.conf; nginx -c /tmp/nginx.conf -g 'daemon off;' & p=$!; trap \"kill -QUIT $p\" TERM; wait $p; wait $p"
      ]

      env {
        name  = "NGINX_CONF"
        value = local.nginx_conf
      }

      ports {
        name           = "h2c"
        container_port = local.front_port
      }

      resources {
        limits            = { cpu = tostring(local.front_vcpus), memory = "${local.front_memory_mib}Mi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 60

        tcp_socket {
          port = local.front_port
        }
      }
    }

    containers {
      name  = "app"
      image = data.google_cloud_run_v2_service.api[0].template[0].containers[0].image

      dynamic "env" {
        for_each = merge(local.registry_environment, {
          # What the platform tells a function, and functions-framework reads.
          FUNCTION_TARGET         = local.functions["api"].entry_point
          FUNCTION_SIGNATURE_TYPE = "http"
          # Only the container that takes the requests is given a port.
          PORT = tostring(local.app_port)
        })

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secret_environment["api"]

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }

      resources {
        limits            = { cpu = tostring(local.app_vcpus), memory = "${local.size.registry_memory_mib}Mi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      # An instance's way to the database may take a minute to come up: until then it isn't given requests. The platform
      # allows four minutes in all.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 240

        http_get {
          path = local.startup_path
          port = local.app_port
        }
      }
    }

    dynamic "vpc_access" {
      for_each = local.attachments

      content {
        egress = "PRIVATE_RANGES_ONLY"

        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }
  }

  depends_on = [
    google_project_service.api,
    google_secret_manager_secret_iam_member.reads,
    google_secret_manager_secret_version.made,
    google_sql_user.this,
    google_project_iam_member.database,
  ]
}
