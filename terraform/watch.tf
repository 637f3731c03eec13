# What is measured, and what wakes somebody. docs/operations.md has a section for each alert: what it means, what to do.

locals {
  registry_service = var.http2 ? var.name : "${var.name}-api"
  in_registry      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.registry_service}\""
  in_gc            = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}-gc\""

  channels = [for channel in google_monitoring_notification_channel.mail : channel.id]

  # Made from the programs' own log lines (docs/operations.md lists them). One that has a value is a distribution.
  log_metrics = {
    requests = {
      description = "Requests, as the registry answered them."
      filter      = "${local.in_registry} AND jsonPayload.message=\"request\""
      labels      = { route = "jsonPayload.route", status = "jsonPayload.status", code = "jsonPayload.code" }
      value       = null
      unit        = "1"
    }
    request_ms = {
      description = "How long a request took."
      filter      = "${local.in_registry} AND jsonPayload.message=\"request\""
      labels      = { route = "jsonPayload.route" }
      value       = "jsonPayload.ms"
      unit        = "ms"
    }
    database_ms = {
      description = "How much of a request was waiting for the database."
      filter      = "${local.in_registry} AND jsonPayload.message=\"request\""
      labels      = { route = "jsonPayload.route" }
      value       = "jsonPayload.database_ms"
      unit        = "ms"
    }
    unavailable = {
      description = "Requests that a dependency could not serve."
      filter      = "${local.in_registry} AND jsonPayload.message=\"request\" AND jsonPayload.code=\"UNAVAILABLE\""
      labels      = {}
      value       = null
      unit        = "1"
    }
    faults = {
      description = "Faults of the program, with a trace in the log."
      filter      = "resource.type=\"cloud_run_revision\" AND jsonPayload.message=\"unexpected error\""
      labels      = {}
      value       = null
      unit        = "1"
    }
    refused_sign_ins = {
      description = "Requests without a good token or secret."
      filter      = "${local.in_registry} AND jsonPayload.message=\"request\" AND jsonPayload.status=401 AND jsonPayload.account:*"
      labels      = {}
      value       = null
      unit        = "1"
    }
    audit_events_lost = {
      description = "Events of the audit trail that could not be written."
      filter      = "${local.in_registry} AND jsonPayload.message=\"audit event lost\""
      labels      = {}
      value       = null
      unit        = "1"
    }
    front_errors = {
      description = "Requests that nginx answered, or saw fail."
      filter      = "${local.in_registry} AND jsonPayload.message=\"ingress\""
      labels      = { status = "jsonPayload.status" }
      value       = null
      unit        = "1"
    }
    collections = {
      description = "Runs of the collection."
      filter      = "${local.in_gc} AND jsonPayload.message=\"collection\""
      labels      = { out_of_time = "jsonPayload.out_of_time" }
      value       = null
      unit        = "1"
    }
    reclaimed_bytes = {
      description = "Bytes that a batch of the collection condemned."
      filter      = "${local.in_gc} AND jsonPayload.message=\"reviewed\" AND jsonPayload.bytes>0"
      labels      = { level = "jsonPayload.level" }
      value       = "jsonPayload.bytes"
      unit        = "By"
    }
    failed_reviews = {
      description = "Reviews that failed and were put off."
      filter      = "${local.in_gc} AND jsonPayload.message=\"a review failed and was put off\""
      labels      = {}
      value       = null
      unit        = "1"
    }
    undeletable_objects = {
      description = "Objects that could not be deleted in six attempts."
      filter      = "${local.in_gc} AND jsonPayload.message=\"an object can't be deleted\""
      labels      = {}
      value       = null
      unit        = "1"
    }
  }

  of_registry = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${local.registry_service}\""
  of_database = "resource.type = \"cloudsql_database\" AND resource.labels.database_id = \"${var.project_id}:${google_sql_database_instance.this.name}\""
  of_logs     = { for name in keys(local.log_metrics) : name => "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.this[name].name}\"" }

  # `above` for `minutes`; with a `denominator` it is the share of that. The title is the heading in docs/operations.md.
  alerts = {
    server_errors = {
      title       = "Server errors"
      severity    = "CRITICAL"
      filter      = "${local.of_registry} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      denominator = "${local.of_registry} AND metric.type = \"run.googleapis.com/request_count\""
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 0.01
      minutes     = 5
    }
    slow_pulls = {
      title       = "Slow pulls"
      severity    = "WARNING"
      filter      = "${local.of_logs["request_ms"]} AND metric.labels.route = monitoring.regex.full_match(\"GetManifest|GetBlob|HeadBlob\")"
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_PERCENTILE_99"
      above       = 2000
      minutes     = 10
    }
    dependency_away = {
      title       = "A dependency is away"
      severity    = "CRITICAL"
      filter      = local.of_logs["unavailable"]
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 10
      minutes     = 5
    }
    faults = {
      title       = "Faults of the program"
      severity    = "ERROR"
      filter      = local.of_logs["faults"]
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 0
      minutes     = 0
    }
    instances_at_limit = {
      title       = "All instances in use"
      severity    = "WARNING"
      filter      = "${local.of_registry} AND metric.type = \"run.googleapis.com/container/instance_count\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_SUM"
      above       = local.size.registry_max_instances - 0.5
      minutes     = 10
    }
    refused_sign_ins = {
      title       = "Many refused sign-ins"
      severity    = "WARNING"
      filter      = local.of_logs["refused_sign_ins"]
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 300
      minutes     = 10
    }
    audit_events_lost = {
      title       = "Audit events lost"
      severity    = "ERROR"
      filter      = local.of_logs["audit_events_lost"]
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 0
      minutes     = 0
    }
    hints_wait = {
      title       = "Hints wait"
      severity    = "WARNING"
      filter      = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.hints.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_MAX"
      above       = 1800
      minutes     = 5
    }
    dead_letters = {
      title       = "Dead letters"
      severity    = "ERROR"
      filter      = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_MAX"
      above       = 0
      minutes     = 5
    }
    failed_reviews = {
      title       = "Reviews fail"
      severity    = "WARNING"
      filter      = local.of_logs["failed_reviews"]
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 0
      minutes     = 30
    }
    undeletable_objects = {
      title       = "Objects can't be deleted"
      severity    = "ERROR"
      filter      = local.of_logs["undeletable_objects"]
      denominator = null
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 0
      minutes     = 0
    }
    database_connections = {
      title       = "Connections run out"
      severity    = "ERROR"
      filter      = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/postgresql/num_backends\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_SUM"
      above       = local.connections_budget
      minutes     = 5
    }
    database_disk = {
      title       = "The database's disk fills up"
      severity    = "ERROR"
      filter      = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/disk/utilization\""
      denominator = null
      aligner     = "ALIGN_MAX"
      reducer     = "REDUCE_MAX"
      above       = 0.9
      minutes     = 30
    }
    database_cpu = {
      title       = "The database is busy"
      severity    = "WARNING"
      filter      = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/cpu/utilization\""
      denominator = null
      aligner     = "ALIGN_MEAN"
      reducer     = "REDUCE_MAX"
      above       = 0.9
      minutes     = 15
    }
  }
}

resource "google_logging_metric" "this" {
  for_each = local.log_metrics

  name            = "${var.name}/${each.key}"
  description     = each.value.description
  filter          = each.value.filter
  value_extractor = each.value.value == null ? null : "EXTRACT(${each.value.value})"
  label_extractors = {
    for label, field in each.value.labels : label => "EXTRACT(${field})"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.value == null ? "INT64" : "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = each.value.value == null ? [] : [true]

    # From 1 ms to a quarter of an hour, or from 1 byte to a terabyte.
    content {
      exponential_buckets {
        num_finite_buckets = 40
        growth_factor      = each.value.unit == "By" ? 2 : 1.4
        scale              = 1
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_notification_channel" "mail" {
  for_each = var.alert_emails

  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.alerts

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  documentation {
    mime_type = "text/markdown"
    content   = "What it means and what to do: docs/operations.md, \"${each.value.title}\"."
  }

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter             = each.value.filter
      denominator_filter = each.value.denominator
      comparison         = "COMPARISON_GT"
      threshold_value    = each.value.above
      duration           = "${each.value.minutes * 60}s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.denominator == null ? [] : [true]

        content {
          alignment_period     = "300s"
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
        }
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }
}

# The clock wakes it every few minutes: an hour without a run is a fault.
resource "google_monitoring_alert_policy" "no_collection" {
  display_name          = "${var.name}: No collection"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  documentation {
    mime_type = "text/markdown"
    content   = "What it means and what to do: docs/operations.md, \"No collection\"."
  }

  conditions {
    display_name = "No collection"

    condition_absent {
      filter   = local.of_logs["collections"]
      duration = "3600s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }
}

# Asks as a client does first; with access control, 401 and a challenge is the right answer.
resource "google_monitoring_uptime_check_config" "registry" {
  display_name = "${var.name}: /v2/"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path         = "/v2/"
    port         = 443
    use_ssl      = true
    validate_ssl = true

    accepted_response_status_codes {
      status_value = var.access == "open" ? 200 : 401
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = local.host
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "unreachable" {
  display_name          = "${var.name}: The registry can't be reached"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  documentation {
    mime_type = "text/markdown"
    content   = "What it means and what to do: docs/operations.md, \"The registry can't be reached\"."
  }

  conditions {
    display_name = "The registry can't be reached"

    condition_threshold {
      filter          = "resource.type = \"uptime_url\" AND metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id = \"${google_monitoring_uptime_check_config.registry.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"

      # How many of the places that ask got no good answer.
      aggregations {
        alignment_period     = "120s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }
}
