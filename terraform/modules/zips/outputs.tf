output "directory" {
  description = "Folder of the zips."
  value       = local.directory
}

output "hashes" {
  description = "Base64 of each zip's SHA-256 by handler: the `source_code_hash` of its function."
  value       = { for handler, zip in local.zips : handler => zip.hash }

  # Where plan and apply run on two machines, a zip that the second one lacks is refused before its function sees it.
  depends_on = [terraform_data.build]
}

output "paths" {
  description = "Path of each zip by handler."
  value       = local.paths
}

output "s3_keys" {
  description = "Keys of the uploaded zips by handler; empty without a bucket."
  value       = { for handler, object in aws_s3_object.zip : handler => object.key }
}

output "version" {
  description = "Version of the release that the zips are of; empty for those of a working tree."
  value       = local.release == null ? "" : local.release
}
