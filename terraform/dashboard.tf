locals {
  # In this order, two in a row. A share has a denominator; a percentile is of a distribution.
  charts = [
    { title = "Requests by status", filter = local.of_logs["requests"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.status"] },
    { title = "Requests by route", filter = local.of_logs["requests"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.route"] },
    { title = "Time of a request, 99 of 100, ms", filter = local.of_logs["request_ms"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["metric.label.route"] },
    { title = "Of that in the database, 99 of 100, ms", filter = local.of_logs["database_ms"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["metric.label.route"] },
    { title = "Instances", filter = "${local.of_registry} AND metric.type = \"run.googleapis.com/container/instance_count\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["metric.label.state"] },
    { title = "Answered by the front alone", filter = local.of_logs["front_errors"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.status"] },
    { title = "Connections to the database", filter = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/postgresql/num_backends\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = [] },
    { title = "The database's CPU", filter = "${local.of_database} AND metric.type = \"cloudsql.googleapis.com/database/cpu/utilization\"", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = [] },
    { title = "GC runs, by whether the time was enough", filter = local.of_logs["gc_runs"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.out_of_time"] },
    { title = "Oldest garbage that is due, s", filter = local.of_logs["oldest_seconds"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [] },
    { title = "Reviews that failed, by level", filter = local.of_logs["failed_reviews"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.level"] },
    { title = "Oldest GC trigger, s", filter = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.trigger["gc"].name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = [] },
    { title = "Bytes in the bucket", filter = "resource.type = \"gcs_bucket\" AND resource.labels.bucket_name = \"${google_storage_bucket.blobs.name}\" AND metric.type = \"storage.googleapis.com/storage/v2/total_bytes\"", aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", by = ["metric.label.type"] },
    { title = "Refused sign-ins", filter = local.of_logs["refused_sign_ins"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = [] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = var.name
    mosaicLayout = {
      columns = 12
      tiles = [
        # A position of zero is not given back, and would be a change in every plan.
        for index, chart in local.charts : merge(index % 2 == 0 ? {} : { xPos = 6 }, index < 2 ? {} : { yPos = floor(index / 2) * 4 }, {
          width                                                               = 6
          height                                                              = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "300s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.by
                    }
                  }
                }
              }]
            }
          }
        })
      ]
    }
  })
}
