variable "handlers_bucket" {
  type        = string
  description = "Existing S3 bucket that the backends' zips go through. Null means that each zip goes to Lambda directly."
  default     = null
}

variable "management_endpoint" {
  type        = string
  description = "Base URL of the `@connections` calls, with the placeholders `{api_id}` and `{stage_name}`. Null means each API's own endpoint."
  default     = null

  validation {
    condition     = var.management_endpoint == null || can(regex("^https?://.*\\{api_id\\}", var.management_endpoint))
    error_message = "management_endpoint must be null or an http or https URL with the placeholder {api_id}, since two APIs share it."
  }
}

variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-two"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,32}$", var.name))
    error_message = "name must be 2 to 33 letters, digits or hyphens, and start with a letter."
  }
}
