variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-routes"
  nullable    = false
}

variable "zip" {
  type        = string
  description = "Zip with the team's code and Roomcast's package, as count.py says."
  default     = "count.zip"
  nullable    = false
}
