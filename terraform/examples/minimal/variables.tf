variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-minimal"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,39}$", var.name))
    error_message = "name must be 2 to 40 letters, digits or hyphens, and start with a letter."
  }
}
