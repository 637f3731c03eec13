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
    database_highly_available = optional(bool)
    registry_min_instances    = optional(number)
    registry_max_instances    = optional(number)
    registry_concurrency      = optional(number)
    registry_connections      = optional(number)
    registry_memory_mib       = optional(number)
    upload_chunk_mib          = optional(number)
    gc_max_instances          = optional(number)
    gc_connections            = optional(number)
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
    condition     = var.sizing.registry_connections == null ? true : var.sizing.registry_connections >= 1 && var.sizing.registry_connections <= 100
    error_message = "registry_connections is from 1 to 100: what one process may have."
  }
  validation {
    condition     = var.sizing.database_tier == null ? true : can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.sizing.database_tier))
    error_message = "database_tier is db-f1-micro, db-g1-small or db-custom-<cpus>-<MiB>, as the edition ENTERPRISE has them."
  }
}

variable "access" {
  description = "Who gets in: token (the registry's own principals), external (another issuer's tokens), open (everybody, with every right)."
  type        = string
  default     = "token"
  nullable    = false

  validation {
    condition     = contains(["token", "external", "open"], var.access)
    error_message = "One of token, external, open."
  }
}

variable "accept_open" {
  description = "Must be true for access = open: anybody on the internet may then push and delete."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = var.access == "open" == var.accept_open
    error_message = "access = open needs accept_open = true, and nothing else may have it."
  }
}

variable "external" {
  description = "The issuer that access = external trusts: its `iss`, its token endpoint, and its keys (PEM) or where they are published."
  type = object({
    issuer   = string
    realm    = string
    keys     = optional(string, "")
    jwks_url = optional(string, "")
  })
  default = null

  validation {
    condition     = (var.access == "external") == (var.external != null)
    error_message = "access = external needs the issuer, and nothing else may name one."
  }
  validation {
    condition     = var.external == null ? true : startswith(var.external.realm, "https://")
    error_message = "The realm is an absolute https address."
  }
  validation {
    condition     = var.external == null ? true : (var.external.keys == "") != (var.external.jwks_url == "")
    error_message = "Give either keys or jwks_url."
  }
}

variable "token_service" {
  description = "The registry's name in tokens: their audience, and what a CI job's identity must be made for."
  type        = string
  default     = "slipway"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._:/-]{1,200}$", var.token_service))
    error_message = "Letters, digits and ._:/- only."
  }
}

variable "token_keys_version" {
  description = "Which version of the signing keys the registry reads. deploy/rotate.py adds versions, and says what to write here."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.token_keys_version >= 1 && floor(var.token_keys_version) == var.token_keys_version
    error_message = "A whole number from 1."
  }
}

variable "pepper_version" {
  description = "Which version of the pepper the programs read. deploy/rotate.py adds versions, and says what to write here; any other change makes every stored secret useless."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.pepper_version >= 1 && floor(var.pepper_version) == var.pepper_version
    error_message = "A whole number from 1."
  }
}

variable "settings" {
  description = "Settings of docs/configuration.md that are a matter of taste, by their SLIPWAY_ names."
  type        = map(string)
  default     = {}
  nullable    = false

  # What isn't listed here is derived from the other variables.
  validation {
    condition = alltrue([for name in keys(var.settings) : contains([
      "SLIPWAY_ACTIVITY_INTERVAL_SECONDS",
      "SLIPWAY_BLOB_DELIVERY",
      "SLIPWAY_BODY_IDLE_SECONDS",
      "SLIPWAY_GITLAB_VERSION",
      "SLIPWAY_GOOGLE_AUDIENCES",
      "SLIPWAY_HINT_INTERVAL_SECONDS",
      "SLIPWAY_LARGEST_ANNOTATIONS_BYTES",
      "SLIPWAY_LARGEST_MANIFEST_BYTES",
      "SLIPWAY_OIDC_ISSUERS",
      "SLIPWAY_PRIVATE_ISSUERS",
      "SLIPWAY_REQUESTS_PER_MINUTE",
      "SLIPWAY_SIGNED_URL_BASE",
      "SLIPWAY_SIGNED_URL_SECONDS",
      "SLIPWAY_SPARSE_MANIFESTS",
      "SLIPWAY_STORAGE_TIMEOUT_SECONDS",
      "SLIPWAY_TOKEN_SECONDS",
      "SLIPWAY_UPLOADS_PER_PRINCIPAL",
      "SLIPWAY_UPLOAD_EXPIRY_SECONDS",
    ], name)])
    error_message = "A setting that isn't known, or that is derived from another variable: see terraform/variables.tf."
  }
}

variable "http2" {
  description = "Serve through the HTTP/2 front, without which a request is limited to 32 MiB. False makes the function itself the registry."
  type        = bool
  default     = true
  nullable    = false
}

variable "nginx_image" {
  description = "The front's nginx on Docker Hub, 1.25.1 or newer, by tag or (better) by digest; it is fetched through a repository of this project."
  type        = string
  default     = "library/nginx:1.30-alpine"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9_./-]+(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$", var.nginx_image))
    error_message = "An image of Docker Hub with a tag or a digest, like library/nginx:1.30-alpine."
  }
  validation {
    condition     = !can(regex(":1\\.([01]?[0-9]|2[0-4])([.-]|$)", var.nginx_image))
    error_message = "nginx before 1.25.1 can't take HTTP/1.1 probes and HTTP/2 on one port."
  }
}

variable "trusted_proxies" {
  description = "How many entries at the end of X-Forwarded-For our own proxies wrote; null for what the front and the load balancer write."
  type        = number
  default     = null

  validation {
    condition     = var.trusted_proxies == null ? true : var.trusted_proxies >= 0 && var.trusted_proxies <= 10
    error_message = "From 0 to 10."
  }
}

variable "python_runtime" {
  description = "The functions' runtime."
  type        = string
  default     = "python313"
  nullable    = false

  validation {
    condition     = contains(["python311", "python312", "python313", "python314"], var.python_runtime)
    error_message = "One of python311 to python314."
  }
}

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

variable "grant_database_roles" {
  description = "Whether Cloud SQL grants the database roles when it makes the users. False leaves it to you: see docs/deploy.md."
  type        = bool
  default     = true
  nullable    = false
}

variable "blob_soft_delete_days" {
  description = "For how long Cloud Storage keeps deleted blobs, and bills them: 0, or 7 to 90, as a net under the collection."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.blob_soft_delete_days == 0 || (var.blob_soft_delete_days >= 7 && var.blob_soft_delete_days <= 90)
    error_message = "0, or from 7 to 90."
  }
}

variable "tick_schedule" {
  description = "When the collection is woken besides hints, as a cron line in UTC."
  type        = string
  default     = "*/5 * * * *"
  nullable    = false

  validation {
    condition     = length(split(" ", var.tick_schedule)) == 5
    error_message = "Five fields."
  }
}

variable "deletion_protection" {
  description = "Whether the database, the registry's service and the pepper are protected from destruction."
  type        = bool
  default     = true
  nullable    = false
}

variable "deployers" {
  description = "Who may call the migrate function: user:…, group:… or serviceAccount:…"
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.deployers : can(regex("^(user|group|serviceAccount|principal|principalSet):.+", member))])
    error_message = "Members like user:anna@example.com; never allUsers."
  }
}

variable "alert_emails" {
  description = "Where alerts go."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Mail addresses."
  }
}

variable "domain" {
  description = "A domain of your own, such as registry.example.com: makes a load balancer and a certificate. Null uses the service's own address."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A domain name in lower case."
  }
}

variable "requests_per_minute_and_address" {
  description = "How many requests Cloud Armor lets one address make in a minute, with a domain. A refused docker push fails at once: be generous."
  type        = number
  default     = 6000
  nullable    = false

  validation {
    condition     = var.requests_per_minute_and_address >= 60 && var.requests_per_minute_and_address <= 1000000
    error_message = "From 60 to 1000000."
  }
}

variable "kms_key" {
  description = "A key of Cloud KMS in the same region that encrypts blobs, database, topics, secrets, sources and images; null for Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "projects/…/locations/…/keyRings/…/cryptoKeys/…"
  }
}

variable "budget" {
  description = "A monthly budget, in whole units of the billing account's currency; mails are sent at half, nine tenths and all of it."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.amount >= 1
    error_message = "A billing account like 012345-6789AB-CDEF01, and an amount of at least 1."
  }
}

variable "pipeline" {
  description = "What deploys by itself: the account <name>-deploy, and who may act as it. Null makes none. See docs/deploy.md."
  type = object({
    # The bucket that holds this deployment's state, and under promoted/ the commits that went through.
    state_bucket = string
    # The file of variables that the pipeline applies, from the root of the repository.
    variables = string
    # The state's bucket of the environment that a commit has to come from; empty for the first.
    promoted_from = optional(string, "")
    # Who may read what was promoted here: the next environment's deployer.
    promotes_to = optional(set(string), [])
    # Jobs of one repository (by its number) in one environment, on one branch.
    github = optional(object({
      repository_id = string
      environment   = string
      branch        = optional(string, "main")
    }))
    # A repository that is connected to Cloud Build.
    cloud_build = optional(object({
      repository     = string
      branch         = optional(string, "main")
      needs_approval = optional(bool, true)
    }))
  })
  default = null

  validation {
    condition = var.pipeline == null ? true : alltrue([
      for bucket in [var.pipeline.state_bucket, coalesce(var.pipeline.promoted_from, var.pipeline.state_bucket)] :
      can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", bucket))
    ])
    error_message = "A bucket's name, without gs://."
  }
  validation {
    condition     = try(var.pipeline.github, null) == null ? true : can(regex("^[0-9]+$", var.pipeline.github.repository_id))
    error_message = "A repository of GitHub's is told by its number: gh api repos/OWNER/NAME --jq .id"
  }
  validation {
    condition = alltrue([
      for text in [try(var.pipeline.github.environment, null), try(var.pipeline.github.branch, null), try(var.pipeline.cloud_build.branch, null)] :
      text == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", text))
    ])
    error_message = "Environments and branches have letters, digits and ._/- only."
  }
  validation {
    condition     = try(var.pipeline.cloud_build, null) == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.pipeline.cloud_build.repository))
    error_message = "projects/…/locations/…/connections/…/repositories/…"
  }
  validation {
    condition     = var.pipeline == null ? true : alltrue([for member in var.pipeline.promotes_to : startswith(member, "serviceAccount:")])
    error_message = "promotes_to has members like serviceAccount:slipway-deploy@PROJECT.iam.gserviceaccount.com."
  }
}
