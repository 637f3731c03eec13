# With a domain of your own: a load balancer, its certificate, and Cloud Armor before the registry, which then answers
# nobody else.

locals {
  has_domain = var.domain != null ? 1 : 0
}

resource "google_compute_global_address" "registry" {
  count = local.has_domain

  name = var.name

  depends_on = [google_project_service.api]
}

resource "google_compute_region_network_endpoint_group" "registry" {
  count = local.has_domain

  name                  = var.name
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.http2 ? google_cloud_run_v2_service.registry[0].name : google_cloudfunctions2_function.api.name
  }
}

resource "google_compute_security_policy" "registry" {
  count = local.has_domain

  name = var.name

  # Whoever tries passwords goes slowly, whatever the account (docs/security.md): at the token endpoint, however its path
  # is written, and wherever else a name and a password are taken.
  rule {
    description = "names and passwords"
    action      = "throttle"
    priority    = 1000

    match {
      expr {
        expression = "request.path.urlDecode() == '/token' || (has(request.headers['authorization']) && request.headers['authorization'].lower().startsWith('basic '))"
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = ceil(var.requests_per_minute_and_address / 10)
        interval_sec = 60
      }
    }
  }

  rule {
    description = "everything, by address"
    action      = "throttle"
    priority    = 2000

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_minute_and_address
        interval_sec = 60
      }
    }
  }

  # Every policy has to end with one for all that is left.
  rule {
    description = "default"
    action      = "allow"
    priority    = 2147483647

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_backend_service" "registry" {
  count = local.has_domain

  name                  = var.name
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = google_compute_security_policy.registry[0].id

  backend {
    group = google_compute_region_network_endpoint_group.registry[0].id
  }

  log_config {
    enable = true
    # The registry logs each request itself, and says more.
    sample_rate = 0.05
  }
}

resource "google_compute_url_map" "registry" {
  count = local.has_domain

  name            = var.name
  default_service = google_compute_backend_service.registry[0].id
}

resource "google_compute_managed_ssl_certificate" "registry" {
  count = local.has_domain

  # A certificate can't be changed, so another domain is another one.
  name = "${var.name}-${substr(sha256(var.domain), 0, 8)}"

  managed {
    domains = [var.domain]
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_ssl_policy" "registry" {
  count = local.has_domain

  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.api]
}

resource "google_compute_target_https_proxy" "registry" {
  count = local.has_domain

  name             = var.name
  url_map          = google_compute_url_map.registry[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.registry[0].id]
  ssl_policy       = google_compute_ssl_policy.registry[0].id
}

resource "google_compute_global_forwarding_rule" "registry" {
  count = local.has_domain

  name                  = var.name
  target                = google_compute_target_https_proxy.registry[0].id
  ip_address            = google_compute_global_address.registry[0].id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}
