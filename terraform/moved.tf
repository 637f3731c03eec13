# The addresses that resources had before: Terraform finds them in the state of what is deployed, and makes nothing anew.

moved {
  from = google_sql_database_instance.this
  to   = google_sql_database_instance.this[0]
}

moved {
  from = google_pubsub_topic.gc_trigger
  to   = google_pubsub_topic.trigger["gc"]
}

moved {
  from = google_pubsub_topic_iam_member.publishes["api"]
  to   = google_pubsub_topic_iam_member.api_sends["gc"]
}

moved {
  from = google_pubsub_topic_iam_member.publishes["gc"]
  to   = google_pubsub_topic_iam_member.function_sends["gc"]
}

moved {
  from = google_pubsub_subscription.gc_trigger
  to   = google_pubsub_subscription.trigger["gc"]
}

moved {
  from = google_cloud_scheduler_job.gc
  to   = google_cloud_scheduler_job.trigger["gc"]
}

moved {
  from = google_pubsub_subscription_iam_member.agent_takes_dead
  to   = google_pubsub_subscription_iam_member.agent_takes_dead["gc"]
}

moved {
  from = google_pubsub_topic.work
  to   = google_pubsub_topic.trigger["work"]
}

moved {
  from = google_pubsub_topic_iam_member.publishes_work["api"]
  to   = google_pubsub_topic_iam_member.api_sends["work"]
}

moved {
  from = google_pubsub_topic_iam_member.publishes_work["work"]
  to   = google_pubsub_topic_iam_member.function_sends["work"]
}

moved {
  from = google_pubsub_subscription.work
  to   = google_pubsub_subscription.trigger["work"]
}

moved {
  from = google_cloud_scheduler_job.work
  to   = google_cloud_scheduler_job.trigger["work"]
}

moved {
  from = google_pubsub_subscription_iam_member.agent_takes_dead_work
  to   = google_pubsub_subscription_iam_member.agent_takes_dead["work"]
}

moved {
  from = google_pubsub_topic.deliver
  to   = google_pubsub_topic.trigger["deliver"]
}

moved {
  from = google_pubsub_topic_iam_member.publishes_deliver["api"]
  to   = google_pubsub_topic_iam_member.api_sends["deliver"]
}

moved {
  from = google_pubsub_topic_iam_member.publishes_deliver["deliver"]
  to   = google_pubsub_topic_iam_member.function_sends["deliver"]
}

moved {
  from = google_pubsub_subscription.deliver
  to   = google_pubsub_subscription.trigger["deliver"]
}

moved {
  from = google_cloud_scheduler_job.deliver
  to   = google_cloud_scheduler_job.trigger["deliver"]
}

moved {
  from = google_pubsub_subscription_iam_member.agent_takes_dead_deliver
  to   = google_pubsub_subscription_iam_member.agent_takes_dead["deliver"]
}
