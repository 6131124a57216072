// Package stepcast is the client of Stepcast, the image-generation server that batches by the step.
//
// Requests are messages of package stepcastv1, which is generated from the wire contract; its comments tell what each
// field does.
package stepcast
