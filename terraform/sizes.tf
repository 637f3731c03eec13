# The one place where figures that depend on each other are derived.

locals {
  profiles = {
    # A shared core: no service level, a few people.
    tiny = {
      database_tier             = "db-g1-small"
      database_max_connections  = 50
      database_disk_gb          = 10
      database_disk_limit_gb    = 40
      database_highly_available = false
      registry_min_instances    = 0
      registry_max_instances    = 4
      registry_concurrency      = 16
      registry_processors       = 1
      registry_connections      = 5
      registry_memory_mib       = 512
      upload_chunk_mib          = 4
      gc_max_instances          = 2
      gc_connections            = 2
      work_max_instances        = 2
      work_connections          = 2
      deliver_max_instances     = 1
      deliver_connections       = 1
    }
    team = {
      database_tier             = "db-custom-1-3840"
      database_max_connections  = 100
      database_disk_gb          = 20
      database_disk_limit_gb    = 80
      database_highly_available = false
      registry_min_instances    = 1
      registry_max_instances    = 12
      registry_concurrency      = 20
      registry_processors       = 1
      registry_connections      = 5
      registry_memory_mib       = 512
      upload_chunk_mib          = 8
      gc_max_instances          = 2
      gc_connections            = 2
      work_max_instances        = 2
      work_connections          = 2
      deliver_max_instances     = 1
      deliver_connections       = 1
    }
    large = {
      database_tier             = "db-custom-4-15360"
      database_max_connections  = 500
      database_disk_gb          = 100
      database_disk_limit_gb    = 400
      database_highly_available = true
      registry_min_instances    = 2
      registry_max_instances    = 40
      registry_concurrency      = 40
      registry_processors       = 1
      registry_connections      = 8
      registry_memory_mib       = 1024
      upload_chunk_mib          = 8
      gc_max_instances          = 4
      gc_connections            = 2
      work_max_instances        = 8
      work_connections          = 2
      deliver_max_instances     = 10
      deliver_connections       = 1
    }
  }

  size = merge(local.profiles[var.size], { for name, value in var.sizing : name => value if value != null })

  # Python runs on one processor at a time: an instance has a process for each, and each its share of the threads. An
  # upload holds its thread for as long as it takes: with fewer threads than requests, everything would wait.
  workers = local.size.registry_processors
  threads = ceil(local.size.registry_concurrency / local.workers)

  # With the HTTP/2 front the function is only what builds the image; nobody can reach it.
  api_max_instances = var.http2 ? 1 : local.size.registry_max_instances
  api_connections   = var.http2 ? 1 : local.size.registry_connections
  api_workers       = var.http2 ? 1 : local.workers

  # The lock's session, and a second one for the administrator.
  migrate_connections = 2

  connections = {
    registry = var.http2 ? local.size.registry_max_instances * local.workers * local.size.registry_connections : 0
    api      = local.api_max_instances * local.api_workers * local.api_connections
    gc       = local.size.gc_max_instances * local.size.gc_connections
    work     = local.size.work_max_instances * local.size.work_connections
    deliver  = local.size.deliver_max_instances * local.size.deliver_connections
    migrate  = local.migrate_connections
  }
  connections_wanted = sum(values(local.connections))
  # Ten are the server's own; a fifth is left for instances of two revisions at once, and for you. What an instance that
  # serves others can spare is for its owner to say.
  connections_budget = local.makes_instance ? floor(0.8 * (local.size.database_max_connections - 10)) : var.existing_database.connections
  connections_text   = local.makes_instance ? "${local.size.database_max_connections} of the database" : "the existing database's others"

  # A session takes PostgreSQL's own part, and up to 64 statements that it keeps prepared, by
  # functions/registry/metadata/connections/prepared.py; docs/performance.md has the figure.
  session_memory_mib  = 14
  sessions_memory_mib = local.connections_wanted * local.session_memory_mib
  shared_core_mib     = { "db-f1-micro" = 614, "db-g1-small" = 1740 }
  database_memory_mib = try(local.shared_core_mib[local.size.database_tier], tonumber(split("-", local.size.database_tier)[3]))

  # What the platform has to allow in the region: all instances of the registry at once.
  registry_vcpus      = local.size.registry_max_instances * (var.http2 ? local.front_vcpus + local.app_vcpus : local.app_vcpus)
  registry_memory_gib = local.size.registry_max_instances * (local.size.registry_memory_mib + (var.http2 ? local.front_memory_mib : 0)) / 1024
  front_vcpus         = 0.5
  front_memory_mib    = 256
  app_vcpus           = local.size.registry_processors

  # Uploads keep what the store has not acknowledged: about a chunk each.
  upload_memory_mib = local.workers * local.threads * local.size.upload_chunk_mib

  # A push of a large layer is one request. The front, the service and nginx have to agree on how long it may last.
  registry_seconds = 3600
  # Longer than garbage collection's own budget (BUDGET_SECONDS of functions/gc/run.py), and shorter than Pub/Sub waits
  # before it delivers again.
  gc_seconds           = 540
  ack_deadline_seconds = 600
  migrate_seconds      = 1800
}
