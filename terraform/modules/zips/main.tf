# The zips of a release, which lie beside this file, or those of `make build`. A plan ends with a sentence unless every
# zip exists and matches the manifest, and, except in a release, was built from the present sources. Published zips lie in
# a bucket already; the manifest says under which keys.

locals {
  is_released = fileexists("${path.module}/release/manifest.json")
  directory   = coalesce(var.directory, local.is_released ? "${path.module}/release" : "${path.module}/../../../build/handlers")
  sources     = coalesce(var.sources_directory, "${path.module}/../../../handlers")

  manifest         = try(jsondecode(file("${local.directory}/manifest.json")), null)
  manifest_format  = try(local.manifest.format, null)
  manifest_entries = { for handler, entry in try(local.manifest.handlers, {}) : handler => entry if local.is_readable }

  # Format 1 has no version of a release and no digests in base64.
  is_readable = try(contains([1, 2], local.manifest_format), false)
  release     = local.is_readable ? try(local.manifest.release, null) : null

  # A handler with native libraries has a zip for each architecture.
  listed_zips = {
    for handler, entry in local.manifest_entries :
    handler => can(entry.zips) ? try(entry.zips[var.architecture], null) : try({ zip = entry.zip, sha256 = entry.sha256, digest = try(entry.digest, null) }, null)
  }
  is_published = nonsensitive(var.published_handlers != null)
  paths = {
    for handler in var.handlers :
    handler => "${local.directory}/${try(basename(local.listed_zips[handler].zip), "${handler}.zip")}"
  }

  zips = {
    for handler, path in local.paths : handler => {
      path   = path
      sha256 = local.is_published ? try(local.listed_zips[handler].sha256, null) : try(filesha256(path), null)
      hash   = local.is_published ? try(local.listed_zips[handler].digest, null) : try(filebase64sha256(path), null)
    }
  }

  # Digest of a zip's present sources. A deleted source changes it like an edited one.
  source_digests = {
    for handler, entry in local.manifest_entries : handler => sha256(join("", [
      for path in sort(keys(try(entry.sources, {}))) :
      "${try(filesha256("${local.sources}/${path}"), "missing")}  ${path}\n"
    ]))
  }

  changed_sources = {
    for handler, entry in local.manifest_entries : handler => [
      for path, digest in try(entry.sources, {}) : path
      if try(filesha256("${local.sources}/${path}"), "missing") != digest
    ]
  }

  zip_problems = [
    for handler, zip in local.zips : (
      contains(keys(local.manifest_entries), handler) == false
      ? "${handler} is not in the manifest (a handler whose packages cannot be fetched is left out by the build, which says so)"
      : can(local.manifest_entries[handler].zips) && local.listed_zips[handler] == null
      ? "${handler} has no zip for ${var.architecture}"
      : local.is_published && zip.hash == null
      ? "the digest of ${basename(zip.path)} is missing in the manifest, which is of format 1 (published zips need that of a release, or of `make build`, with format 2)"
      : zip.sha256 == null
      ? "${basename(zip.path)} is missing"
      : zip.sha256 != try(local.listed_zips[handler].sha256, null)
      ? "${basename(zip.path)} is not the one in the manifest"
      # Sources of a release may have other line ends, as Git for Windows checks them out.
      : local.release == null && local.source_digests[handler] != try(local.manifest_entries[handler].source_digest, null)
      ? "${basename(zip.path)} was built from other sources (${coalesce(join(", ", local.changed_sources[handler]), "the manifest's digest is another")})"
      : ""
    )
  ]

  problems = (
    local.manifest == null
    ? ["manifest.json is missing or no JSON"]
    : !local.is_readable
    ? ["manifest.json is of format ${try(tostring(local.manifest_format), "null")}, and these modules read 1 and 2 (take the modules of the release that wrote it)"]
    : local.is_manifest_alone
    ? ["it holds none, and the tag manifest/${local.release} has none"]
    : compact(local.zip_problems)
  )

  # The tag for zips in a bucket. A release that was fetched incompletely still has some.
  is_manifest_alone = local.release != null && !local.is_published && length(local.zips) > 0 && alltrue([
    for zip in values(local.zips) : zip.sha256 == null
  ])

  remedy = (
    local.release == null
    ? "run `make build`, or take a module source that has zips, a release"
    : local.is_manifest_alone
    ? "set published_handlers, as `make publish` prints it, or take the tag v${local.release}, which has zips"
    : "fetch release ${local.release} again (remove .terraform/modules and run `terraform init`)"
  )
}

# A warning only: an absolute path works, but it is part of the state and changes every function on another machine.
check "zips_lie_in_a_relative_folder" {
  assert {
    condition     = var.bucket != null || local.is_published || !can(regex("^(/|~|[A-Za-z]:)", local.directory))
    error_message = "The folder of the zips, ${local.directory}, is an absolute path, so the same zips in another folder, as on a CI machine, change every function. Give a path relative to the root module, like \"$${path.root}/handlers\", or deploy from a bucket."
  }
}

data "aws_region" "of_functions" {
  count = local.is_published ? 1 : 0 # published_handlers must be known at plan
}

resource "terraform_data" "build" {
  input = { for handler, zip in local.zips : handler => zip.sha256 }

  lifecycle {
    precondition {
      condition     = length(local.problems) == 0
      error_message = "The folder of the zips must hold zips of the present sources, but ${join("; ", local.problems)}; ${local.remedy}. (Zips: ${abspath(local.directory)}; sources: ${abspath(local.sources)}.)"
    }

    precondition {
      condition     = var.bucket == null || var.published_handlers == null
      error_message = "handlers_bucket is for zips that the apply uploads, and published_handlers for zips that lie in a bucket already: set one of them."
    }

    precondition {
      condition     = var.published_handlers == null ? true : var.published_handlers.region == data.aws_region.of_functions[0].id
      error_message = "Lambda takes code from buckets of the functions' Region alone, which is ${try(data.aws_region.of_functions[0].id, "unknown")}, and published_handlers names a bucket of ${try(var.published_handlers.region, "no Region")}: publish the zips to a bucket of each Region."
    }
  }
}

# The key includes the digest, so that functions see a new zip as a new object. The prefix separates two backends in one
# bucket. The old object may be deleted first, because Lambda keeps its own copy.
resource "aws_s3_object" "zip" {
  for_each = nonsensitive(var.bucket == null) ? {} : local.zips # handlers_bucket (a name, not a new bucket's `id`) and the handlers must be known at plan

  bucket       = var.bucket
  content_type = "application/zip"
  key          = "${var.prefix}/${each.key}-${coalesce(each.value.sha256, "missing")}.zip"
  source       = each.value.path

  # S3 objects support only 10 tags, other objects 50. So an object gets no tags, not even the provider's.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
