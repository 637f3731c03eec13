locals {
  # Who logs in, each with the account that it runs as: there are no passwords.
  database_users = {
    for program in local.rooms : program => trimsuffix(google_service_account.this[program].email, ".gserviceaccount.com")
  }

  # Tables belong to whoever migrates. The others read and write rows, and can change no table.
  database_roles = {
    api     = ["pg_read_all_data", "pg_write_all_data"]
    gc      = ["pg_read_all_data", "pg_write_all_data"]
    migrate = ["cloudsqlsuperuser"]
  }

  # The connector's form, which logs in with IAM (functions/registry/metadata/driver.py).
  database_urls = {
    for program, user in local.database_users : program => join("", [
      "cloudsql://${urlencode(user)}@/${google_sql_database.this.name}",
      "?instance=${google_sql_database_instance.this.connection_name}",
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
    precondition {
      condition     = local.connections_wanted <= local.connections_budget
      error_message = <<-TEXT
        The instances may open ${local.connections_wanted} connections (${join(", ", [for program, count in local.connections : "${program} ${count}"])}), and
        ${local.size.database_max_connections} of the database leave ${local.connections_budget}. Lower instances or connections, or raise
        database_max_connections (and the tier: each takes memory).
      TEXT
    }
    # It grows by itself, and can't shrink.
    ignore_changes = [settings[0].disk_size]
  }

  depends_on = [
    google_project_service.api,
    google_service_networking_connection.services,
    google_kms_crypto_key_iam_member.agent,
  ]
}

resource "google_sql_database" "this" {
  name     = "registry"
  instance = google_sql_database_instance.this.name
  # The users own what is in it, so it has to go first; it goes with its instance.
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "this" {
  for_each = local.database_users

  instance        = google_sql_database_instance.this.name
  name            = each.value
  type            = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles  = var.grant_database_roles ? local.database_roles[each.key] : null
  deletion_policy = "ABANDON"
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

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.this[each.value.program].member

  # The rights hold for this instance, not for others that the project may have.
  condition {
    title      = "${var.name}-database"
    expression = "resource.name == 'projects/${var.project_id}/instances/${google_sql_database_instance.this.name}' && resource.service == 'sqladmin.googleapis.com'"
  }
}
