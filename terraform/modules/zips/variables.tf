variable "architecture" {
  type        = string
  description = "Instruction set of the functions, for handlers with a zip for each: `arm64` or `x86_64`."
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be one of Lambda's instruction sets: \"arm64\" or \"x86_64\"."
  }
}

variable "bucket" {
  type        = string
  description = "Existing S3 bucket for the zips. Null means no upload. The name must be known at plan."
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be null or the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots or hyphens."
  }
}

variable "directory" {
  type        = string
  description = "Folder of the zips and their manifest. Null means the release's, or else that of `make build`."
  default     = null

  validation {
    condition     = var.directory == null || try(length(var.directory) >= 1, false)
    error_message = "directory must be null or the path of a folder."
  }
}

variable "handlers" {
  type        = set(string)
  description = "Names of the handlers to deploy; each zip has the handler's name."
  nullable    = false

  validation {
    condition     = alltrue([for handler in var.handlers : can(regex("^[A-Za-z0-9_-]{1,64}$", handler))])
    error_message = "handlers must be names of 1 to 64 letters, digits, hyphens or underscores."
  }
}

variable "prefix" {
  type        = string
  description = "Prefix of the uploaded zips' keys. Two backends in one bucket need two prefixes."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.prefix))
    error_message = "prefix must be 1 to 128 letters, digits, hyphens or underscores."
  }
}

variable "published_handlers" {
  type = object({
    bucket = string
    prefix = optional(string, "roomcast")
    region = string
  })
  description = "Bucket that holds the zips already, as `make publish` prints it: its name, the prefix of the keys, and the Region, which must be that of the functions. The keys follow from the manifest, so that another release needs no other value. Excludes `handlers_bucket`. Must be known at plan."
  default     = null

  validation {
    condition     = var.published_handlers == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.published_handlers.bucket))
    error_message = "published_handlers.bucket must be the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots or hyphens."
  }

  validation {
    condition     = var.published_handlers == null ? true : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.published_handlers.prefix)) && try(length(var.published_handlers.prefix) <= 128, false)
    error_message = "published_handlers.prefix must be at most 128 letters, digits, underscores, dots, hyphens or slashes between them."
  }

  validation {
    condition     = var.published_handlers == null ? true : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.published_handlers.region))
    error_message = "published_handlers.region must be a Region, like \"eu-west-1\"."
  }
}

variable "sources_directory" {
  type        = string
  description = "Folder of the sources from which the zips must have been built, if they are no release's. Null means `handlers` of the repository that holds this module."
  default     = null

  validation {
    condition     = var.sources_directory == null || try(length(var.sources_directory) >= 1, false)
    error_message = "sources_directory must be null or the path of a folder."
  }
}
