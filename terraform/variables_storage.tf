# Where it is kept: the database, the network to it, blobs, keys.

variable "database_version" {
  description = "PostgreSQL's version, 15 to 18."
  type        = string
  default     = "POSTGRES_17"
  nullable    = false

  validation {
    condition     = can(regex("^POSTGRES_1[5-8]$", var.database_version))
    error_message = "POSTGRES_15 to POSTGRES_18."
  }
}

variable "database_instance" {
  description = "The name of the database's instance, if it isn't `name`: of a copy that was restored, for instance."
  type        = string
  default     = null

  validation {
    condition     = var.database_instance == null ? true : can(regex("^[a-z][a-z0-9-]{0,96}$", var.database_instance))
    error_message = "Up to 97 lower-case letters, digits and hyphens, and it starts with a letter."
  }
}

variable "existing_database" {
  description = "An instance of Cloud SQL that exists and serves others too: a database of this name is made in it, with its users, and nothing else of it is touched. `connections` is how many of its connections are for Slipway: the plan then refuses more. Null makes an instance."
  type = object({
    connection_name = string
    database        = optional(string, "registry")
    connections     = optional(number)
  })
  default = null

  validation {
    condition     = var.existing_database == null ? true : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]:[a-z0-9-]+:[a-z][a-z0-9-]{0,96}$", var.existing_database.connection_name))
    error_message = "A connection name is PROJECT:REGION:INSTANCE."
  }
  validation {
    condition     = var.existing_database == null ? true : can(regex("^[a-z][a-z0-9_]{0,62}$", var.existing_database.database)) && !contains(["postgres", "template0", "template1", "cloudsqladmin"], var.existing_database.database)
    error_message = "A database's name has up to 63 lower-case letters, digits and underscores, and is none of the server's own."
  }
  validation {
    condition     = var.existing_database == null ? true : !var.private_database || var.network != null
    error_message = "An existing database is reached through the network that it is in: give `network`, or private_database = false for its public address."
  }
  validation {
    condition     = var.existing_database == null ? true : var.database_instance == null
    error_message = "database_instance names an instance that is made here, existing_database one that isn't: give one of them."
  }
}

variable "private_database" {
  description = "Whether the database is reached over a private address only. False gives it a public one, which only the Cloud SQL connector gets through."
  type        = bool
  default     = true
  nullable    = false
}

variable "network" {
  description = "An existing network and subnetwork (their ids), with private services access set up. Null makes both."
  type = object({
    network    = string
    subnetwork = string
  })
  default = null

  validation {
    condition     = var.network == null || var.private_database
    error_message = "A network is of use only with private_database."
  }
}

variable "subnetwork_range" {
  description = "The addresses of the functions' instances, if the network is made here: two for each instance, at least a /26."
  type        = string
  default     = "10.8.0.0/24"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.subnetwork_range)) && try(tonumber(split("/", var.subnetwork_range)[1]) <= 26, false)
    error_message = "An IPv4 range of /26 or larger."
  }
}

variable "blob_soft_delete_days" {
  description = "For how long Cloud Storage keeps deleted blobs, and bills them: 0, or 7 to 90, as a net under garbage collection."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.blob_soft_delete_days == 0 || (var.blob_soft_delete_days >= 7 && var.blob_soft_delete_days <= 90)
    error_message = "0, or from 7 to 90."
  }
}

variable "kms_key" {
  description = "A key of Cloud KMS in the same region that encrypts blobs, database, topics, secrets, sources, images and functions; null for Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "projects/…/locations/…/keyRings/…/cryptoKeys/…"
  }
}

variable "import_source" {
  description = "The bucket of a registry that is moved in, and what its layout's names begin with there; null for none. With `hand_back` links may be taken away there; with `notify` the bucket tells of what changes in it, and changes are here within seconds."
  type = object({
    bucket    = string
    prefix    = optional(string, "")
    hand_back = optional(bool, false)
    notify    = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.import_source == null ? true : can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.import_source.bucket)) && can(regex("^([^'/]+/)*$", var.import_source.prefix))
    error_message = "A bucket's name, without gs://, and a prefix that is empty or ends in a slash."
  }
}

variable "backup_bucket" {
  description = "Where backups go, and every so many hours; null for none. The bucket exists: best in another project and region, with a retention. With `keep` (such as \"7d,4w,12m\") older backups are pruned, for which `work` may delete there. See docs/backup.md."
  type = object({
    bucket      = string
    prefix      = optional(string, "")
    every_hours = optional(number, 24)
    keep        = optional(string, "")
  })
  default = null

  validation {
    condition     = var.backup_bucket == null ? true : can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.backup_bucket.bucket)) && can(regex("^([^'/]+/?)*$", var.backup_bucket.prefix))
    error_message = "A bucket's name, without gs://, and a prefix that doesn't begin with a slash."
  }
  validation {
    condition     = var.backup_bucket == null ? true : floor(var.backup_bucket.every_hours) == var.backup_bucket.every_hours && var.backup_bucket.every_hours >= 1 && var.backup_bucket.every_hours <= 744
    error_message = "A backup is made every 1 to 744 hours."
  }
  validation {
    condition     = var.backup_bucket == null ? true : can(regex("^([1-9][0-9]{0,2}[dwm](,|$))*$", var.backup_bucket.keep))
    error_message = "How many are kept is numbers of days, weeks and months: 7d,4w,12m."
  }
}
