# What wakes garbage collection, the work on imports and migrations, and the delivery of events: trigger messages, which
# the api sends when there is something to do, and a schedule, should every one of them be lost. Pub/Sub delivers a
# message itself, without a trigger of Cloud Functions between: fewer parts, and the subscription is ours to set.

locals {
  # By function. `message` is the kind that functions/registry/events/trigger.py sends.
  triggers = {
    gc = {
      message       = "collect"
      topic         = "gc-trigger"
      subscription  = "collect"
      schedule_name = "gc-schedule"
      schedule      = var.gc_schedule
      description   = "Wakes garbage collection, should every trigger message be lost."
    }
    # Where nothing is being moved in or migrated, a run is a few questions to the database.
    work = {
      message       = "work"
      topic         = "work"
      subscription  = "work"
      schedule_name = "work"
      schedule      = var.gc_schedule
      description   = "Wakes the work on imports and on background migrations."
    }
    # What has to be sent again is found by the schedule, whatever garbage collection's own is. Where nobody
    # subscribed, a run is a few questions to the database.
    deliver = {
      message       = "deliver"
      topic         = "events"
      subscription  = "events"
      schedule_name = "events"
      schedule      = "* * * * *"
      description   = "Wakes the delivery of events, should every trigger message be lost."
    }
  }
}

resource "google_pubsub_topic" "trigger" {
  for_each = local.triggers

  name                       = "${var.name}-${each.value.topic}"
  kms_key_name               = var.kms_key
  message_retention_duration = "86400s"

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_member" "api_sends" {
  for_each = local.triggers

  topic  = google_pubsub_topic.trigger[each.key].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.this["api"].member
}

# A function sends the next trigger message itself when it runs out of time.
resource "google_pubsub_topic_iam_member" "function_sends" {
  for_each = local.triggers

  topic  = google_pubsub_topic.trigger[each.key].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.this[each.key].member
}

resource "google_pubsub_subscription" "trigger" {
  for_each = local.triggers

  name                 = "${var.name}-${each.value.subscription}"
  topic                = google_pubsub_topic.trigger[each.key].id
  ack_deadline_seconds = local.ack_deadline_seconds
  # The database knows what is due: an old trigger message says nothing that a newer one doesn't.
  message_retention_duration = "3600s"

  # Without this a subscription that was idle for a month is gone.
  expiration_policy {
    ttl = ""
  }

  # Without this a failed message comes back at once, again and again.
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = 10
  }

  push_config {
    push_endpoint = google_cloudfunctions2_function.this[each.key].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.this["push"].email
      audience              = google_cloudfunctions2_function.this[each.key].service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push_calls]
}

resource "google_cloud_scheduler_job" "trigger" {
  for_each = local.triggers

  name        = "${var.name}-${each.value.schedule_name}"
  region      = var.region
  description = each.value.description
  schedule    = each.value.schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.trigger[each.key].id
    # As functions/registry/events/trigger.py encodes it: a message without data would not reach the function.
    data       = base64encode(jsonencode({ (each.value.message) = 1 }))
    attributes = { kind = "schedule" }
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "dead" {
  name         = "${var.name}-dead"
  kms_key_name = var.kms_key

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# A topic without a subscription keeps nothing: this one is for whoever looks into it.
resource "google_pubsub_subscription" "dead" {
  name                       = "${var.name}-dead"
  topic                      = google_pubsub_topic.dead.id
  message_retention_duration = "1209600s"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub moves a message to the dead letters in its own name, and takes it off the subscription.
resource "google_pubsub_topic_iam_member" "agent_publishes_dead" {
  topic  = google_pubsub_topic.dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "agent_takes_dead" {
  for_each = local.triggers

  subscription = google_pubsub_subscription.trigger[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
