locals {
  # Who logs in, each with the account that it runs as: there are no passwords.
  database_users = {
    for program in local.rooms : program => trimsuffix(google_service_account.this[program].email, ".gserviceaccount.com")
  }

  # Tables belong to whoever migrates, which gives the others their rights table by table (functions/migrate/grants.py).
  database_roles = {
    api     = null
    gc      = null
    work    = null
    deliver = null
    migrate = ["cloudsqlsuperuser"]
  }

  # Where the database is: in an instance that is made here, or in one that serves others too.
  makes_instance = var.existing_database == null
  existing       = local.makes_instance ? null : split(":", var.existing_database.connection_name)
  instance = {
    project         = local.makes_instance ? var.project_id : local.existing[0]
    name            = local.makes_instance ? google_sql_database_instance.this[0].name : local.existing[2]
    connection_name = local.makes_instance ? google_sql_database_instance.this[0].connection_name : var.existing_database.connection_name
  }
  database_name = local.makes_instance ? "registry" : var.existing_database.database

  # The connector's form, which logs in with IAM (functions/registry/metadata/driver.py).
  database_urls = {
    for program, user in local.database_users : program => join("", [
      "cloudsql://${urlencode(user)}@/${google_sql_database.this.name}",
      "?instance=${local.instance.connection_name}",
      "&network=${var.private_database ? "private" : "public"}",
    ])
  }

  database_flags = {
    "cloudsql.iam_authentication" = "on"
    "max_connections"             = tostring(local.size.database_max_connections)
    "log_checkpoints"             = "on"
    "log_connections"             = "on"
    "log_disconnections"          = "on"
    "log_lock_waits"              = "on"
    "log_temp_files"              = "0"
    # Statements bear values, and some of those are hashes of secrets: only what is slow is logged.
    "log_min_duration_statement" = "5000"
    "log_min_messages"           = "warning"
  }
}

resource "google_sql_database_instance" "this" {
  count = local.makes_instance ? 1 : 0

  name                = coalesce(var.database_instance, var.name)
  region              = var.region
  database_version    = var.database_version
  deletion_protection = var.deletion_protection
  encryption_key_name = var.kms_key

  settings {
    # Since PostgreSQL 16 the default is another one, without small machines.
    edition                     = "ENTERPRISE"
    tier                        = local.size.database_tier
    availability_type           = local.size.database_highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = local.size.database_disk_gb
    disk_autoresize             = true
    disk_autoresize_limit       = local.size.database_disk_limit_gb
    deletion_protection_enabled = var.deletion_protection
    user_labels                 = var.labels

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      start_time                     = "02:00"
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 14
        retention_unit   = "COUNT"
      }
    }

    ip_configuration {
      ipv4_enabled    = !var.private_database
      private_network = one([for attachment in local.attachments : attachment.network])
      # Not even with the right password: only with a certificate, as the connector has one.
      ssl_mode = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
      query_string_length    = 1024
      record_client_address  = false
    }

    dynamic "database_flags" {
      for_each = local.database_flags

      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    # It grows by itself, and can't shrink: the provider would make another instance. docs/operations.md says how it is
    # made larger by hand.
    ignore_changes = [settings[0].disk_size]
  }

  depends_on = [
    google_project_service.api,
    google_service_networking_connection.services,
    google_kms_crypto_key_iam_member.agent,
  ]
}

resource "google_sql_database" "this" {
  project  = local.instance.project
  name     = local.database_name
  instance = local.instance.name
  # The users own what is in it, so it would have to go first; it goes with its instance, or stays in one that is not ours.
  deletion_policy = "ABANDON"

  lifecycle {
    precondition {
      condition     = local.connections_budget == null ? true : local.connections_wanted <= local.connections_budget
      error_message = <<-TEXT
        The instances may open ${local.connections_wanted} connections (${join(", ", [for program, count in local.connections : "${program} ${count}"])}), and
        ${local.connections_text} leave ${coalesce(local.connections_budget, 0)}. Lower instances or connections, or raise
        database_max_connections (and the tier: each takes memory).
      TEXT
    }
    # The other half is the server's cache, and what its queries sort.
    precondition {
      condition     = local.makes_instance ? local.sessions_memory_mib <= local.database_memory_mib / 2 : true
      error_message = <<-TEXT
        ${local.connections_wanted} connections take ${local.sessions_memory_mib} MiB of the database, with the statements that each keeps prepared: more than half of
        the ${local.database_memory_mib} MiB of ${local.size.database_tier}. Lower instances or connections, or choose a larger database_tier.
      TEXT
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_sql_user" "this" {
  for_each = local.database_users

  project         = local.instance.project
  instance        = local.instance.name
  name            = each.value
  type            = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles  = local.database_roles[each.key]
  deletion_policy = "ABANDON"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "database" {
  for_each = merge([
    for program in local.rooms : {
      for role in ["roles/cloudsql.client", "roles/cloudsql.instanceUser"] : "${program}-${basename(role)}" => {
        program = program
        role    = role
      }
    }
  ]...)

  project = local.instance.project
  role    = each.value.role
  member  = google_service_account.this[each.value.program].member

  # The rights hold for this instance, not for others that the project may have.
  condition {
    title      = "${var.name}-database"
    expression = "resource.name == 'projects/${local.instance.project}/instances/${local.instance.name}' && resource.service == 'sqladmin.googleapis.com'"
  }
}
