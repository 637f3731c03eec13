resource "google_billing_budget" "this" {
  provider = google.billing
  count    = var.budget != null ? 1 : 0

  billing_account = var.budget.billing_account
  display_name    = "${var.name} in ${var.project_id}"

  budget_filter {
    projects = ["projects/${local.project_number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]

    content {
      threshold_percent = threshold_rules.value
    }
  }

  dynamic "all_updates_rule" {
    for_each = length(var.alert_emails) > 0 ? [true] : []

    content {
      # An update takes five channels at most.
      monitoring_notification_channels = slice(local.channels, 0, min(length(local.channels), 5))
    }
  }

  depends_on = [google_project_service.api]
}
