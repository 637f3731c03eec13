# What wakes garbage collection, the work on imports and migrations, and the delivery of events: the api's trigger
# messages, and a schedule as the net under them. A message is delivered by Pub/Sub itself, without a trigger between:
# fewer parts, and the subscription is ours to set.

resource "google_pubsub_topic" "gc_trigger" {
  name                       = "${var.name}-gc-trigger"
  kms_key_name               = var.kms_key
  message_retention_duration = "86400s"

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_member" "publishes" {
  # Garbage collection sends the next trigger message itself when it runs out of time.
  for_each = toset(["api", "gc"])

  topic  = google_pubsub_topic.gc_trigger.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.this[each.key].member
}

resource "google_pubsub_subscription" "gc_trigger" {
  name                 = "${var.name}-collect"
  topic                = google_pubsub_topic.gc_trigger.id
  ack_deadline_seconds = local.ack_deadline_seconds
  # The database knows what is due: an old trigger says nothing that a newer one doesn't.
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
    push_endpoint = google_cloudfunctions2_function.this["gc"].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.this["push"].email
      audience              = google_cloudfunctions2_function.this["gc"].service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push_calls]
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
  subscription = google_pubsub_subscription.gc_trigger.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_cloud_scheduler_job" "gc" {
  name        = "${var.name}-gc-schedule"
  region      = var.region
  description = "Wakes garbage collection, should every trigger message be lost."
  schedule    = var.gc_schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.gc_trigger.id
    # What functions/registry/events/trigger.py sends: a message without data would not reach the function.
    data       = base64encode(jsonencode({ collect = 1 }))
    attributes = { kind = "schedule" }
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "work" {
  name                       = "${var.name}-work"
  kms_key_name               = var.kms_key
  message_retention_duration = "86400s"

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_member" "publishes_work" {
  for_each = toset(["api", "work"])

  topic  = google_pubsub_topic.work.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.this[each.key].member
}

resource "google_pubsub_subscription" "work" {
  name                       = "${var.name}-work"
  topic                      = google_pubsub_topic.work.id
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = "3600s"

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = 10
  }

  push_config {
    push_endpoint = google_cloudfunctions2_function.this["work"].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.this["push"].email
      audience              = google_cloudfunctions2_function.this["work"].service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push_calls]
}

resource "google_pubsub_subscription_iam_member" "agent_takes_dead_work" {
  subscription = google_pubsub_subscription.work.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# Where nothing is being moved in or migrated, a run is a few questions to the database.
resource "google_cloud_scheduler_job" "work" {
  name        = "${var.name}-work"
  region      = var.region
  description = "Wakes the work on imports and on background migrations."
  schedule    = var.gc_schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.work.id
    data       = base64encode(jsonencode({ work = 1 }))
    attributes = { kind = "schedule" }
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "deliver" {
  name                       = "${var.name}-events"
  kms_key_name               = var.kms_key
  message_retention_duration = "86400s"

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_member" "publishes_deliver" {
  for_each = toset(["api", "deliver"])

  topic  = google_pubsub_topic.deliver.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.this[each.key].member
}

resource "google_pubsub_subscription" "deliver" {
  name                       = "${var.name}-events"
  topic                      = google_pubsub_topic.deliver.id
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = "3600s"

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = 10
  }

  push_config {
    push_endpoint = google_cloudfunctions2_function.this["deliver"].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.this["push"].email
      audience              = google_cloudfunctions2_function.this["deliver"].service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push_calls]
}

resource "google_pubsub_subscription_iam_member" "agent_takes_dead_deliver" {
  subscription = google_pubsub_subscription.deliver.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# Where nobody subscribed, a run is a few questions to the database.
resource "google_cloud_scheduler_job" "deliver" {
  name        = "${var.name}-events"
  region      = var.region
  description = "Wakes the delivery of events, should every trigger message be lost."
  # What has to be sent again is found by it: whatever garbage collection's own schedule is.
  schedule  = "* * * * *"
  time_zone = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.deliver.id
    data       = base64encode(jsonencode({ deliver = 1 }))
    attributes = { kind = "schedule" }
  }

  depends_on = [google_project_service.api]
}
