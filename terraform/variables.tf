# What there has to be, and how large it is.

variable "project_id" {
  description = "The Google Cloud project that everything is made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "region" {
  description = "The region of the functions, the database and the buckets: one for all, since round trips are the cost."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "A region looks like europe-west1."
  }
}

variable "name" {
  description = "The prefix of every resource's name, and the name of the registry's service."
  type        = string
  default     = "slipway"
  nullable    = false

  # The longest account id is <name>-migrate, of at most 30 characters; the longest bucket <project>-<name>-source, of 63.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,18}[a-z0-9]$", var.name))
    error_message = "A name has 6 to 20 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "labels" {
  description = "Labels of every resource that takes some."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "A label's key starts with a lower-case letter; keys and values have lower-case letters, digits, _ and -."
  }
}

variable "size" {
  description = "How large the deployment is: tiny, team or large. The profiles are in sizes.tf."
  type        = string
  default     = "tiny"
  nullable    = false

  validation {
    condition     = contains(["tiny", "team", "large"], var.size)
    error_message = "One of tiny, team, large."
  }
}

variable "sizing" {
  description = "What differs from the profile. What doesn't fit together (connections, memory) is refused by the plan."
  type = object({
    database_tier             = optional(string)
    database_max_connections  = optional(number)
    database_disk_gb          = optional(number)
    database_disk_limit_gb    = optional(number)
    database_highly_available = optional(bool)
    registry_min_instances    = optional(number)
    registry_max_instances    = optional(number)
    registry_concurrency      = optional(number)
    registry_processors       = optional(number)
    registry_connections      = optional(number)
    registry_memory_mib       = optional(number)
    upload_chunk_mib          = optional(number)
    gc_max_instances          = optional(number)
    gc_connections            = optional(number)
    work_max_instances        = optional(number)
    work_connections          = optional(number)
    deliver_max_instances     = optional(number)
    deliver_connections       = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.sizing) : try(tonumber(value) >= 0, true) if value != null])
    error_message = "No number of them is negative."
  }
  validation {
    condition     = var.sizing.registry_concurrency == null ? true : var.sizing.registry_concurrency >= 1 && var.sizing.registry_concurrency <= 1000
    error_message = "registry_concurrency is from 1 to 1000."
  }
  validation {
    condition     = var.sizing.registry_processors == null ? true : contains([1, 2, 4, 6, 8], var.sizing.registry_processors)
    error_message = "registry_processors is 1, 2, 4, 6 or 8, as an instance may have them."
  }
  validation {
    condition     = var.sizing.registry_connections == null ? true : var.sizing.registry_connections >= 1 && var.sizing.registry_connections <= 100
    error_message = "registry_connections is from 1 to 100: what one process may have."
  }
  validation {
    condition     = var.sizing.database_tier == null ? true : can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.sizing.database_tier))
    error_message = "database_tier is db-f1-micro, db-g1-small or db-custom-<cpus>-<MiB>, as the edition ENTERPRISE has them."
  }
}

variable "quota" {
  description = "How much Cloud Run may use in the region: vCPU and GiB. The default is a new project's; what was granted beyond it is written here, and the plan refuses what is above."
  type = object({
    vcpus      = optional(number, 20)
    memory_gib = optional(number, 40)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.quota.vcpus >= 1 && var.quota.memory_gib >= 1
    error_message = "At least 1 of each."
  }
}

variable "deletion_protection" {
  description = "Whether the database, the registry's service and the pepper are protected from destruction."
  type        = bool
  default     = true
  nullable    = false
}
