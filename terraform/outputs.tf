output "registry_host" {
  description = "What stands before the / in an image's name."
  value       = local.host
}

output "registry_address" {
  description = "The load balancer's address, for the domain's A record; null without a domain."
  value       = one(google_compute_global_address.registry[*].address)
}

output "console" {
  description = "The dashboard."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${basename(google_monitoring_dashboard.this.id)}?project=${var.project_id}"
}

output "migrate_url" {
  description = "The migrate function, for those who are deployers."
  value       = google_cloudfunctions2_function.this["migrate"].service_config[0].uri
}

output "blob_bucket" {
  description = "The bucket that holds the blobs."
  value       = google_storage_bucket.blobs.name
}

output "database_instance" {
  description = "The database's connection name."
  value       = local.instance.connection_name
}

output "connections" {
  description = "How many connections the instances may open, and how many the database has for them (null: nobody said)."
  value = {
    wanted = local.connections_wanted
    budget = local.connections_budget
    of     = local.connections
  }
}

output "next" {
  description = "What to do now, as commands."
  value = join("\n", concat(
    var.domain == null ? [] : [
      "# Point ${var.domain} at ${google_compute_global_address.registry[0].address}; the certificate comes within an hour of that.",
    ],
    var.access != "token" ? [] : [
      "# The administrator's secret, once:",
      "python3 -c 'from functions.registry.auth.secrets import make_secret; print(make_secret().text, end=\"\")' | gcloud secrets versions add ${google_secret_manager_secret.this["admin-secret"].secret_id} --project=${var.project_id} --data-file=-",
    ],
    [
      "# The schema, after every deployment:",
      "curl --fail --json '{}' -H \"Authorization: Bearer $(gcloud auth print-identity-token)\" ${google_cloudfunctions2_function.this["migrate"].service_config[0].uri}",
    ],
    var.access != "token" ? [] : [
      "gcloud secrets versions access latest --secret=${google_secret_manager_secret.this["admin-secret"].secret_id} --project=${var.project_id} | docker login --username admin --password-stdin ${local.host}",
    ],
    [
      "docker tag hello-world ${local.host}/demo/hello:1",
      "docker push ${local.host}/demo/hello:1",
    ],
  ))
}

output "token_service" {
  description = "The registry's name in tokens: what an identity that signs in has to be made for."
  value       = local.token_service
}

output "deployer" {
  description = "The account that the pipeline runs as; null without one."
  value       = one(google_service_account.deployer[*].email)
}

output "workload_identity_provider" {
  description = "What GitHub's jobs sign in with; null without one."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}
