# What each program is told. Settings that aren't here have their default (functions/registry/config.py).

locals {
  # Cloud Run gives a service this address besides the one with a random part; this one is known beforehand, so that
  # the service can be told its own.
  own_host = "${var.http2 ? var.name : "${var.name}-api"}-${local.project_number}.${var.region}.run.app"
  host     = var.domain != null ? var.domain : local.own_host

  token_service = coalesce(var.token_service, local.host)

  # The platform's front writes one entry, the load balancer another.
  trusted_proxies = var.trusted_proxies != null ? var.trusted_proxies : var.domain != null ? 2 : 1

  backup_environment = var.backup_bucket == null ? {} : {
    SLIPWAY_BACKUPS = "gs://${var.backup_bucket.bucket}${var.backup_bucket.prefix == "" ? "" : "/${trimsuffix(var.backup_bucket.prefix, "/")}"}"
  }

  access_environment = {
    token = {
      SLIPWAY_TOKEN_REALM = "https://${local.host}/token"
    }
    external = var.external == null ? {} : {
      SLIPWAY_TOKEN_REALM       = var.external.realm
      SLIPWAY_EXTERNAL_ISSUER   = var.external.issuer
      SLIPWAY_EXTERNAL_KEYS     = var.external.keys
      SLIPWAY_EXTERNAL_JWKS_URL = var.external.jwks_url
    }
    open = {
      SLIPWAY_OPEN_IN_CLOUD = "accept"
    }
  }

  api_environment = merge(
    var.settings,
    {
      SLIPWAY_DATABASE           = local.database_urls["api"]
      SLIPWAY_BUCKET             = google_storage_bucket.blobs.name
      SLIPWAY_TOPIC              = google_pubsub_topic.trigger["gc"].id
      SLIPWAY_WORK_TOPIC         = google_pubsub_topic.trigger["work"].id
      SLIPWAY_EVENTS_TOPIC       = google_pubsub_topic.trigger["deliver"].id
      SLIPWAY_PUBLIC_HOST        = local.host
      SLIPWAY_PROJECT            = var.project_id
      SLIPWAY_SIGNER             = "iam"
      SLIPWAY_SIGNER_IDENTITY    = google_service_account.this["api"].email
      SLIPWAY_UPLOAD_CHUNK_BYTES = tostring(local.size.upload_chunk_mib * 1024 * 1024)
      SLIPWAY_ACCESS             = var.access
      SLIPWAY_SERVICE            = local.token_service
      SLIPWAY_TRUSTED_PROXIES    = tostring(local.trusted_proxies)
      THREADS                    = tostring(local.threads)
      WORKERS                    = tostring(local.workers)
    },
    var.console_issuer == null ? {} : {
      SLIPWAY_CONSOLE_ISSUER    = var.console_issuer.issuer
      SLIPWAY_CONSOLE_CLIENT_ID = var.console_issuer.client_id
    },
    length(var.cors_origins) == 0 ? {} : { SLIPWAY_CORS_ORIGINS = join(" ", var.cors_origins) },
    local.backup_environment,
    local.access_environment[var.access],
  )

  environment = {
    api = merge(
      local.api_environment,
      {
        SLIPWAY_DATABASE_CONNECTIONS = tostring(local.api_connections)
        # Where the platform cuts a function's request without a word; the function says something first.
        SLIPWAY_REQUEST_LIMIT_BYTES = tostring(32 * 1024 * 1024)
      },
      var.http2 ? { SLIPWAY_REGISTRY_HOST = local.host } : {},
    )
    gc = merge(
      # Of the rest it reads nothing: garbage collection makes no URL, opens no upload and trims the audit trail.
      {
        for name, value in var.settings : name => value
        if contains(["SLIPWAY_AUDIT_REFUSALS", "SLIPWAY_AUDIT_ROWS", "SLIPWAY_STORAGE_TIMEOUT_SECONDS"], name)
      },
      {
        SLIPWAY_DATABASE             = local.database_urls["gc"]
        SLIPWAY_DATABASE_CONNECTIONS = tostring(local.size.gc_connections)
        # Nobody waits for a GC run: it may wait longer than a push.
        SLIPWAY_DATABASE_LOCK_SECONDS = "10"
        SLIPWAY_BUCKET                = google_storage_bucket.blobs.name
        SLIPWAY_TOPIC                 = google_pubsub_topic.trigger["gc"].id
      },
    )
    work = merge(
      {
        for name, value in var.settings : name => value
        if contains(["SLIPWAY_CHECK_BYTES", "SLIPWAY_CHECK_DAYS", "SLIPWAY_PRIVATE_SOURCES", "SLIPWAY_STORAGE_TIMEOUT_SECONDS"], name)
      },
      {
        SLIPWAY_DATABASE              = local.database_urls["work"]
        SLIPWAY_DATABASE_CONNECTIONS  = tostring(local.size.work_connections)
        SLIPWAY_DATABASE_LOCK_SECONDS = "10"
        SLIPWAY_BUCKET                = google_storage_bucket.blobs.name
        SLIPWAY_WORK_TOPIC            = google_pubsub_topic.trigger["work"].id
      },
      local.backup_environment,
      # The schedule that wakes it looks at this clock.
      var.backup_bucket == null ? {} : { SLIPWAY_BACKUP_EVERY_SECONDS = tostring(var.backup_bucket.every_hours * 3600) },
      try(var.backup_bucket.keep, "") == "" ? {} : { SLIPWAY_BACKUP_KEEP = var.backup_bucket.keep },
    )
    deliver = merge(
      {
        for name, value in var.settings : name => value if name == "SLIPWAY_PRIVATE_RECEIVERS"
      },
      {
        SLIPWAY_DATABASE              = local.database_urls["deliver"]
        SLIPWAY_DATABASE_CONNECTIONS  = tostring(local.size.deliver_connections)
        SLIPWAY_DATABASE_LOCK_SECONDS = "10"
        SLIPWAY_EVENTS_TOPIC          = google_pubsub_topic.trigger["deliver"].id
        SLIPWAY_PUBLIC_HOST           = local.host
        # It has no right to it, but the settings are read as a whole.
        SLIPWAY_BUCKET = google_storage_bucket.blobs.name
      },
    )
    migrate = merge(
      {
        SLIPWAY_DATABASE              = local.database_urls["migrate"]
        SLIPWAY_DATABASE_API_USER     = local.database_users["api"]
        SLIPWAY_DATABASE_GC_USER      = local.database_users["gc"]
        SLIPWAY_DATABASE_WORK_USER    = local.database_users["work"]
        SLIPWAY_DATABASE_DELIVER_USER = local.database_users["deliver"]
        # It touches no blob, but the settings are read as a whole.
        SLIPWAY_BUCKET = google_storage_bucket.blobs.name
      },
      { for variable, secret in local.secret_files["migrate"] : variable => "${local.secrets_folder}/${secret}" if var.access == "token" },
    )
  }

  registry_environment = merge(local.api_environment, {
    SLIPWAY_DATABASE_CONNECTIONS = tostring(local.size.registry_connections)
  })
}
