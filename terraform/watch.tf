# What is measured, and what wakes somebody. docs/operations.md has a section for each alert: what it means, what to do.

locals {
  channels = [for channel in google_monitoring_notification_channel.mail : channel.id]

  services = {
    registry = var.http2 ? var.name : "${var.name}-api"
    gc       = "${var.name}-gc"
    deliver  = "${var.name}-deliver"
  }

  # Made from the programs' own log lines (docs/operations.md lists them): lines with this message, or one of these,
  # of this program (of all, if none is named), of which `where` holds. With a `value` a metric is the distribution of
  # that field.
  log_metrics = {
    for name, metric in {
      requests = {
        description = "Requests, as the registry answered them."
        program     = "registry"
        message     = "request"
        labels      = ["route", "status", "code"]
      }
      request_ms = {
        description = "How long a request took."
        program     = "registry"
        message     = "request"
        labels      = ["route"]
        value       = "ms"
        unit        = "ms"
      }
      database_ms = {
        description = "How much of a request was waiting for the database."
        program     = "registry"
        message     = "request"
        labels      = ["route"]
        value       = "database_ms"
        unit        = "ms"
      }
      waits_for_connection = {
        description = "Requests that had no connection to the database for half a second, or none at all."
        program     = "registry"
        message     = "request"
        where       = "(jsonPayload.pool_ms>500 OR jsonPayload.reason:\"no connection became free\")"
      }
      unavailable = {
        description = "Requests that a dependency could not serve."
        program     = "registry"
        message     = "request"
        where       = "jsonPayload.code=\"UNAVAILABLE\""
      }
      refused_sign_ins = {
        description = "Requests without a good token or secret."
        program     = "registry"
        message     = "request"
        where       = "jsonPayload.status=401 AND jsonPayload.account:*"
      }
      faults = {
        description = "Faults of the program, with a trace in the log; and events of the audit trail that could not be written."
        message     = ["unexpected error", "audit event lost"]
      }
      damage = {
        description = "Blobs whose object is missing, or not what it was; and checks that found such, or could not look at all."
        message     = ["a blob is damaged", "a check has ended"]
        where       = "(NOT jsonPayload.state:* OR jsonPayload.damage>0 OR jsonPayload.state!=\"done\")"
      }
      failed_backups = {
        description = "Backups, verifications and prunes that failed; and looks that found the last backup too old."
        message     = ["a backup failed", "the last backup is too old"]
      }
      undelivered_events = {
        description = "Lanes of a subscription in which events were given up, and subscriptions that were paused or switched off."
        program     = "deliver"
        message     = ["deliveries were given up", "a subscription was stopped"]
      }
      front_errors = {
        description = "Requests that nginx answered, or saw fail."
        program     = "registry"
        message     = "ingress"
        labels      = ["status"]
      }
      gc_runs = {
        description = "GC runs."
        program     = "gc"
        message     = "gc run"
        labels      = ["out_of_time"]
      }
      overdue_gc_runs = {
        description = "GC runs that left something which has been due for an hour."
        program     = "gc"
        message     = "gc run"
        where       = "jsonPayload.overdue>0"
      }
      oldest_seconds = {
        description = "For how long the first of what a run left had been due."
        program     = "gc"
        message     = "gc run"
        value       = "oldest_seconds"
        unit        = "s"
      }
      reclaimed_bytes = {
        description = "Bytes that a batch of garbage collection queued for deletion."
        program     = "gc"
        message     = "reviewed"
        where       = "jsonPayload.bytes>0"
        labels      = ["level"]
        value       = "bytes"
        unit        = "By"
      }
      failed_reviews = {
        description = "Reviews that failed and were put off."
        program     = "gc"
        message     = "a review failed and was rescheduled"
        labels      = ["level"]
      }
      poison_reviews = {
        description = "Reviews that failed six times or more."
        program     = "gc"
        message     = "a review fails again and again"
        labels      = ["level"]
      }
      held_retention_runs = {
        description = "Runs of retention policies that wait for somebody to look at them."
        program     = "gc"
        message     = "a retention run is held"
      }
      stuck_background_migrations = {
        description = "Background migrations that failed, and runs that found one without a batch for an hour."
        message     = "a background migration is stuck"
        labels      = ["name", "why"]
      }
      background_percent = {
        description = "How far a background migration was at the end of a run."
        message     = "background migration"
        labels      = ["name"]
        value       = "percent"
        unit        = "%"
      }
      undeletable_objects = {
        description = "Objects that could not be deleted in six attempts."
        program     = "gc"
        message     = "an object can't be deleted"
      }
    } : name => merge({ program = null, where = null, labels = [], value = null, unit = "1" }, metric)
  }

  of_registry = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${local.services.registry}\""
  of_database = "resource.type = \"cloudsql_database\" AND resource.labels.database_id = \"${local.instance.project}:${local.instance.name}\""
  of_logs     = { for name in keys(local.log_metrics) : name => "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.this[name].name}\"" }

  # `above` for `minutes`, of a metric that counts lines of the log. Titles are the headings in docs/operations.md.
  log_alerts = {
    dependency_away     = { title = "A dependency is away", severity = "CRITICAL", metric = "unavailable", above = 10, minutes = 5 }
    waits               = { title = "Requests wait for a connection", severity = "WARNING", metric = "waits_for_connection", above = 20, minutes = 5 }
    faults              = { title = "Faults of the program", severity = "ERROR", metric = "faults", above = 0, minutes = 0 }
    refused_sign_ins    = { title = "Many refused sign-ins", severity = "WARNING", metric = "refused_sign_ins", above = 300, minutes = 10 }
    failed_backups      = { title = "A backup failed or is too old", severity = "ERROR", metric = "failed_backups", above = 0, minutes = 0 }
    undelivered_events  = { title = "Events are not delivered", severity = "WARNING", metric = "undelivered_events", above = 0, minutes = 0 }
    damage              = { title = "Content is damaged", severity = "ERROR", metric = "damage", above = 0, minutes = 0 }
    overdue             = { title = "Garbage collection can't keep up", severity = "WARNING", metric = "overdue_gc_runs", above = 0, minutes = 60 }
    poison_reviews      = { title = "A review fails again and again", severity = "ERROR", metric = "poison_reviews", above = 0, minutes = 0 }
    held_retention_runs = { title = "A retention run is held", severity = "WARNING", metric = "held_retention_runs", above = 0, minutes = 0 }
    stuck_migrations    = { title = "A background migration is stuck", severity = "WARNING", metric = "stuck_background_migrations", above = 0, minutes = 0 }
    undeletable_objects = { title = "Objects can't be deleted", severity = "ERROR", metric = "undeletable_objects", above = 0, minutes = 0 }
  }

  # Of other metrics, or of a distribution; with a `denominator` it is the share of that, and `least` how many there have
  # to be besides.
  metric_alerts = {
    server_errors = {
      title       = "Server errors"
      severity    = "CRITICAL"
      filter      = "${local.of_registry} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      denominator = "${local.of_registry} AND metric.type = \"run.googleapis.com/request_count\""
      aligner     = "ALIGN_DELTA"
      reducer     = "REDUCE_SUM"
      above       = 0.01
      minutes     = 5
      # Of few requests one is a large share: the uptime check alone makes thirty in that time.
      least = 5
    }
    slow_pulls = {
      title    = "Slow pulls"
      severity = "WARNING"
      filter   = "${local.of_logs["request_ms"]} AND metric.labels.route = monitoring.regex.full_match(\"GetManifest|GetBlob|HeadBlob\")"
      aligner  = "ALIGN_DELTA"
      reducer  = "REDUCE_PERCENTILE_99"
      above    = 2000
      minutes  = 10
    }
    instances_at_limit = {
      title    = "All instances in use"
      severity = "WARNING"
      filter   = "${local.of_registry} AND metric.type = \"run.googleapis.com/container/instance_count\""
      aligner  = "ALIGN_MAX"
      reducer  = "REDUCE_SUM"
      above    = local.size.registry_max_instances - 0.5
      minutes  = 10
    }
    garbage_is_old = {
      title    = "Garbage is a day late"
      severity = "ERROR"
      filter   = local.of_logs["oldest_seconds"]
      aligner  = "ALIGN_DELTA"
      reducer  = "REDUCE_PERCENTILE_99"
      above    = 86400
      minutes  = 10
    }
    gc_triggers_wait = {
      title    = "GC triggers wait"
      severity = "WARNING"
      filter   = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.trigger["gc"].name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner  = "ALIGN_MAX"
      reducer  = "REDUCE_MAX"
      above    = 1800
      minutes  = 5
    }
    dead_letters = {
      title    = "Dead letters"
      severity = "ERROR"
      filter   = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      aligner  = "ALIGN_MAX"
      reducer  = "REDUCE_MAX"
      above    = 0
      minutes  = 5
    }
  }

  # An instance that isn't ours is watched by whoever it belongs to.
  database_alerts = {
    for name, alert in {
      database_connections = {
        title    = "Connections run out"
        severity = "ERROR"
        filter   = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/postgresql/num_backends\""
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_SUM"
        above    = coalesce(local.connections_budget, 0)
        minutes  = 5
      }
      database_disk = {
        title    = "The database's disk fills up"
        severity = "ERROR"
        filter   = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/disk/utilization\""
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        above    = 0.9
        minutes  = 30
      }
      database_cpu = {
        title    = "The database is busy"
        severity = "WARNING"
        filter   = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/cpu/utilization\""
        aligner  = "ALIGN_MEAN"
        reducer  = "REDUCE_MAX"
        above    = 0.9
        minutes  = 15
      }
    } : name => alert if local.makes_instance
  }

  alerts = merge(
    { for name, alert in local.metric_alerts : name => merge({ denominator = null, least = null }, alert) },
    { for name, alert in local.database_alerts : name => merge(alert, { denominator = null, least = null }) },
    {
      for name, alert in local.log_alerts : name => merge(alert, {
        filter      = local.of_logs[alert.metric]
        denominator = null
        least       = null
        aligner     = "ALIGN_DELTA"
        reducer     = "REDUCE_SUM"
      })
    },
  )
}

resource "google_logging_metric" "this" {
  for_each = local.log_metrics

  name            = "${var.name}/${each.key}"
  description     = each.value.description
  value_extractor = each.value.value == null ? null : "EXTRACT(jsonPayload.${each.value.value})"
  label_extractors = {
    for field in each.value.labels : field => "EXTRACT(jsonPayload.${field})"
  }

  filter = join(" AND ", compact([
    "resource.type=\"cloud_run_revision\"",
    each.value.program == null ? null : "resource.labels.service_name=\"${local.services[each.value.program]}\"",
    "jsonPayload.message=(${join(" OR ", [for message in flatten([each.value.message]) : "\"${message}\""])})",
    each.value.where,
  ]))

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.value == null ? "INT64" : "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key        = labels.value
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

# The platform logs each request besides what the registry logs, at more bytes and with less in it. What
# the registry may not have seen is kept: errors, and refusals because all instances are in use.
resource "google_logging_project_exclusion" "platform_requests" {
  count = var.platform_request_log ? 0 : 1

  name        = "${var.name}-requests"
  description = "What the platform logs of requests that went well: the registry's own lines say more."
  filter = join(" AND ", [
    "log_id(\"run.googleapis.com/requests\")",
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", [for name in values(local.services) : "\"${name}\""])})",
    "httpRequest.status<500",
    "httpRequest.status!=429",
  ])

  depends_on = [google_project_service.api]
}

resource "google_monitoring_notification_channel" "mail" {
  for_each = var.alert_emails

  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.api]
}

# A metric of the log can be named in an alert only some ten minutes after it was made. The registry is made last, and
# takes as long; what asks for it waits for it too.
resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.alerts

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = each.value.least == null ? "OR" : "AND"
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

  dynamic "conditions" {
    for_each = each.value.least == null ? [] : [each.value.least]

    content {
      display_name = "${each.value.title}: how many"

      condition_threshold {
        filter          = each.value.filter
        comparison      = "COMPARISON_GT"
        threshold_value = conditions.value
        duration        = "${each.value.minutes * 60}s"

        aggregations {
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

  depends_on = [google_cloud_run_v2_service.registry, google_cloudfunctions2_function.api]
}

# The clock wakes it every few minutes: an hour without a run is a fault.
resource "google_monitoring_alert_policy" "no_gc_run" {
  display_name          = "${var.name}: No GC run"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  documentation {
    mime_type = "text/markdown"
    content   = "What it means and what to do: docs/operations.md, \"No GC run\"."
  }

  conditions {
    display_name = "No GC run"

    condition_absent {
      filter   = local.of_logs["gc_runs"]
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

  depends_on = [google_cloud_run_v2_service.registry, google_cloudfunctions2_function.api]
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

  depends_on = [google_cloud_run_v2_service.registry, google_cloudfunctions2_function.api]
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
