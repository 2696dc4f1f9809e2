variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-consumer"
  nullable    = false
}
